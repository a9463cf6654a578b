// This instruction set's table of the postprocessing kernels.
#include "kernels/pixel_vectors.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

void exp_of_array(const float* x, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t lanes = n - i < kLanes ? n - i : kLanes;
    store_part(y + i, exp(load_part(x + i, lanes)), lanes);
  }
}

void upsample(const UpsampleArgs& args, const UpsampleBand& band, const UpsampleScratch& scratch) {
  upsample_labels(args, band, scratch);
  if (args.out.plane_count > 0) upsample_planes(args, band, scratch);
  if (args.past_caches) end_streams();
}

}  // namespace

extern const PostprocessKernels kPostprocessKernels;
const PostprocessKernels kPostprocessKernels = {deinterleave, activate, label_interleaved,
                                                classify,     upsample, exp_of_array};

}  // namespace etseg::ETSEG_ISA_NAMESPACE
