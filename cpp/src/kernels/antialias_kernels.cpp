#include "kernels/antialias_kernels.h"

#include "kernels/antialias_horizontal.h"
#include "kernels/antialias_vertical.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

extern const AntialiasKernels kAntialiasKernels;
const AntialiasKernels kAntialiasKernels = {
    kLanes, add_segment, blend_rows, shrink_columns, stretch_columns, write_block,
};

}  // namespace etseg::ETSEG_ISA_NAMESPACE
