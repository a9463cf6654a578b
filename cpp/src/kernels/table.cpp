// The table of the instruction set that this file is compiled for.
#include "kernels/kernels.h"

#include "kernels/common/simd.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

extern const Kernels kKernels;
const Kernels kKernels = {
    {kLanes, add_segment, blend_rows, shrink_columns, stretch_columns, write_block},
    {kLanes, bilinear_row},
    {refine},
    {deinterleave, activate, label_interleaved, classify, upsample, exp_of_array},
};

}  // namespace etseg::ETSEG_ISA_NAMESPACE
