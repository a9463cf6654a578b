// Postprocessing on a given instruction set: what Postprocessor is, without the choice. The tests
// and benchmarks name the instruction set; the product asks active_isa().
#pragma once

#include <cstdint>
#include <vector>

#include "etseg/postprocess.h"
#include "kernels/postprocess_kernels.h"
#include "shares.h"
#include "upsample_plan.h"

namespace etseg {

class PostprocessRunner {
 public:
  // Maps of at least so many bytes are not expected to be found in a cache by whoever reads them.
  static constexpr std::int64_t kPastCaches = std::int64_t{16} << 20;

  PostprocessRunner(Activation activation, Isa isa, std::int64_t past_caches = kPastCaches);

  // As Postprocessor::run.
  Status run(const LogitsView& logits, const PostprocessTarget& target, const Executor& executor);

 private:
  void activate(const Executor& executor);
  void activate_interleaved(const Executor& executor);
  void label_interleaved(const Executor& executor);
  void upsample(const LogitsView& source, const PostprocessTarget& target,
                const Executor& executor);
  std::uint32_t classify(std::int64_t pixels, float* planes, const Executor& executor);
  bool bring_into_range(std::int64_t count);
  void reserve_scratch(std::int64_t channels, std::int64_t width, int workers);

  const PostprocessKernels& kernels_;
  const Activation activation_;
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
  std::vector<float> planar_;          // channels-last logits as planes: all of them, or one tile
                                       // for each worker
  std::vector<float> in_range_;        // a copy of logits that were too large to subtract
  UpsamplePlan plan_;
  std::vector<float> floats_;
  std::vector<std::int32_t> integers_;
  std::vector<UpsampleScratch> scratch_;  // per worker, into the two above
  Shares shares_;
};

}  // namespace etseg
