// Stage 3: the model's logits become a label map and the probability maps that were asked for.
//
// One rule at every size: logits are upsampled bilinearly (logits_grid.h says where they lie), then
// the activation, then argmax. So ARGMAX is, at every pixel, the argmax of the probability maps, up
// to float32 ties; ties go to the lowest index. Programs that output probabilities
// (Activation::kNone) have those upsampled.
//
// One channel p is the probability of label 0; label 1 is 1 - p; ARGMAX is 1 only where p < 0.5.
// With Activation::kSigmoid that goes for any number of channels, whose labels do not exclude each
// other: each has a probability of its own, and after them comes one label more, "none of them",
// of 1 less the greatest; ARGMAX is that one only where all are < 0.5.
//
// With Activation::kNormalise the channels are scores, 0 or more: a label's probability is its
// score's share of the sum of all, ARGMAX that of the scores. Where the mean score is below 2^-126,
// as where all are 0, each label has the same share.
//
// A pixel with a NaN or an infinity among its source logits (those whose bilinear weight is not
// zero, of any class) gets ARGMAX 0 and NaN in every probability map.
// A finite logit beyond +-2^126 counts as +-2^126 when logits are upsampled, so that differences
// stay finite.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etseg/activation.h"
#include "etseg/image.h"
#include "etseg/isa.h"
#include "etseg/logits_grid.h"
#include "etseg/parallel.h"
#include "etseg/status.h"

namespace etseg {

// How many labels a program with that many channels tells apart.
constexpr std::int64_t label_count(std::int64_t channels,
                                   Activation activation = Activation::kSoftmax) {
  return channels == 1 || activation == Activation::kSigmoid ? channels + 1 : channels;
}

enum class LabelType { kInt32, kUint8 };

// One probability map to write: float[height][width], contiguous, of label `label`.
struct ProbabilityPlane {
  std::int64_t label = 0;
  float* data = nullptr;
};

struct PostprocessTarget {
  std::int64_t height = 0;  // of every map below; equal to the logits' size or not
  std::int64_t width = 0;
  void* argmax = nullptr;  // int32_t or uint8_t [height][width], contiguous; always written
  LabelType argmax_type = LabelType::kInt32;
  std::span<const ProbabilityPlane> planes;  // labels may repeat; memory must not overlap
  // The maps have the logits' size, and each pixel is a logit: nothing lies between two. So it is
  // anyway where the sizes are equal, but for a grid of kAlignCorners.
  bool own_points = false;
};

// Keeps its scratch memory between calls. One call at a time; distinct objects are independent.
class Postprocessor {
 public:
  // Maps of at least so many bytes are not expected to be found in a cache by whoever reads them.
  static constexpr std::int64_t kPastCaches = std::int64_t{16} << 20;

  // `isa` is out of supported_isas(), `grid` the program's. Maps of `past_caches` bytes and more,
  // all of a call together, are written past the caches; results do not depend on it.
  Postprocessor(Activation activation, Isa isa, const LogitsGrid& grid = {},
                std::int64_t past_caches = kPastCaches);
  ~Postprocessor();
  Postprocessor(Postprocessor&&) noexcept;
  Postprocessor& operator=(Postprocessor&&) noexcept;

  // Reads the logits (never writes them: they may lie in the mapped program file) and writes every
  // element of the target's maps. The result does not depend on the executor.
  // kInvalidUserInput if a size is < 1, not the logits' with own_points, or too large to be counted
  // in 64 bits on the grid, a label is out of range or does not fit the label type;
  // kOutOfMemory. On an error nothing has been written.
  Status run(const LogitsView& logits, const PostprocessTarget& target, const Executor& executor);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etseg
