// Stage 1: an 8-bit image of any size becomes the model's input, in one pass.
//
//   out[c][y][x] = (resize(image)[c][y][x] / 255 - mean[c]) / std[c]
//
// Programs that take bytes normalise them themselves, and get
//
//   out[c][y][x] = floor(resize(image)[c][y][x] + 1/2 + 2^-11)
//
// which is rounding to the nearest byte. The 2^-11, more than float32 loses on the way, sends all
// halves up, such as those of an image at half its size, on every instruction set.
//
// Source coordinates use half-pixel centres (align_corners=False in torch's words):
// source = (target + 0.5) * source_size / target_size - 0.5, clamped to the image.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "etseg/image.h"
#include "etseg/isa.h"
#include "etseg/parallel.h"
#include "etseg/status.h"

namespace etseg {

enum class Resample {
  kBilinear,   // two taps an axis, whatever the scale: the reference's, as cv2.INTER_LINEAR
  kAntialias,  // triangle filter widened by the scale when shrinking: Pillow's and torchvision's
};

struct PreprocessOptions {
  Resample resample = Resample::kBilinear;
  std::array<float, 3> mean = {0.0f, 0.0f, 0.0f};  // RGB, unit 0..1
  std::array<float, 3> std = {1.0f, 1.0f, 1.0f};   // RGB, unit 0..1, > 0
  InputFormat format;                              // with `bytes`, mean and std are not heeded
};

// Keeps the filter tables and scratch rows of the last image size, so that a stream of equal images
// allocates nothing. One call at a time; distinct objects are independent.
class Preprocessor {
 public:
  // `isa` is out of supported_isas().
  Preprocessor(const PreprocessOptions& options, Isa isa);
  ~Preprocessor();
  Preprocessor(Preprocessor&&) noexcept;
  Preprocessor& operator=(Preprocessor&&) noexcept;

  // Writes 3 * height * width values of the format to `out`, which must not overlap the image.
  // `out` is only written, never read. The result does not depend on the executor.
  // kInvalidUserInput if a size is < 1 or > 2^30; kOutOfMemory; in both cases `out` is untouched.
  Status run(const ImageView& image, std::int64_t height, std::int64_t width, void* out,
             const Executor& executor);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etseg
