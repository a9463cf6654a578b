// One band of target rows: its labels, then its maps.
#include "kernels/common/simd.h"
#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

void upsample(const UpsampleArgs& args, const UpsampleBand& band, const UpsampleScratch& scratch) {
  upsample_labels(args, band, scratch);
  if (args.out.plane_count > 0) upsample_maps(args, band, scratch);
  if (args.past_caches) end_streams();
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
