#include "kernels/simd.h"

namespace etseg::ETSEG_ISA_NAMESPACE {}  // The model-size kernels come here.
