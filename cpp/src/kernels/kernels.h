// All kernels of one instruction set, and which set is whose: the only way from the stages to the
// kernels. Each table's header is the contract of its functions.
#pragma once

#include "kernels/common/isa.h"
#include "kernels/cutout/cutout_kernels.h"
#include "kernels/postprocess/postprocess_kernels.h"
#include "kernels/resize/antialias_kernels.h"
#include "kernels/resize/bilinear_kernels.h"

namespace etseg {

struct Kernels {
  AntialiasKernels antialias;
  BilinearKernels bilinear;
  CutoutKernels cutout;
  PostprocessKernels postprocess;
};

// For an instruction set out of supported_isas().
const Kernels& kernels_for(Isa isa);

}  // namespace etseg
