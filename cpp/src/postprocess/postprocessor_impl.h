// What a Postprocessor keeps between calls, and its two ways: maps whose pixels are the logits'
// (at_model_size.cpp) and all others (at_another_size.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "etseg/postprocess.h"
#include "kernels/postprocess/postprocess_kernels.h"
#include "postprocess/upsample_plan.h"
#include "task_shares.h"

namespace etseg {

// Pixels go to the executor in groups of this many, so that kernels see whole vectors.
inline constexpr std::int64_t kPixelGroup = 64;
inline constexpr std::int64_t kGroupsPerTask = 32;

// kernel(begin, end) over pixels, in parallel.
template <typename Kernel>
void over_pixels(const Executor& executor, std::int64_t pixels, Kernel kernel) {
  const std::int64_t groups = (pixels + kPixelGroup - 1) / kPixelGroup;
  executor.run(0, groups, kGroupsPerTask, [&](std::int64_t begin, std::int64_t end) {
    kernel(begin * kPixelGroup, std::min(end * kPixelGroup, pixels));
  });
}

template <typename T>
void grow(std::vector<T>& memory, std::int64_t size) {
  if (memory.size() < static_cast<std::size_t>(size)) memory.resize(static_cast<std::size_t>(size));
}

class Postprocessor::Impl {
 public:
  Impl(Activation activation, Isa isa, const LogitsGrid& grid, std::int64_t past_caches);

  // As Postprocessor::run().
  Status run(const LogitsView& logits, const PostprocessTarget& target, const Executor& executor);

 private:
  // at_model_size.cpp
  void activate(const Executor& executor);
  void activate_interleaved(const Executor& executor);
  void label_interleaved(const Executor& executor);
  // at_another_size.cpp
  bool has_shares() const {
    return activation_ == Activation::kNormalise && logits_.channels > 1 && out_.plane_count > 0;
  }
  void add_none_of_them(const LogitsView& logits);
  void upsample(const AxisMap& rows, const AxisMap& columns, const Executor& executor);
  std::uint32_t classify(std::int64_t pixels, float* planes, const Executor& executor);
  bool bring_into_range(std::int64_t count);
  void reserve_scratch(std::int64_t channels, std::int64_t width, int workers);

  const PostprocessKernels& kernels_;
  const Activation activation_;
  const LogitsGrid grid_;
  const std::int64_t past_caches_;

  // Of the call.
  const float* interleaved_ = nullptr;  // the logits, if they are channels-last
  ClassPlanes logits_ = {};
  MapsOut out_ = {};

  // Kept between calls; sized before the parallel sections, which allocate nothing.
  std::vector<PlaneOut> planes_;
  std::vector<std::int32_t> labels_;   // of the source pixels
  std::vector<std::uint32_t> active_;  // likewise
  std::vector<float> tops_;            // likewise
  std::vector<float> means_;           // likewise
  std::vector<float> planar_;          // channels-last logits as planes: all of them, or one tile
                                       // for each worker
  std::vector<float> with_none_;       // logits of labels that do not exclude each other, and one
                                       // more plane
  std::vector<float> in_range_;        // a copy of logits that were too large to subtract
  UpsamplePlan plan_;
  std::vector<float> floats_;
  std::vector<std::int32_t> integers_;
  std::vector<UpsampleScratch> scratch_;  // per worker, into the two above
  TaskShares task_shares_;
};

}  // namespace etseg
