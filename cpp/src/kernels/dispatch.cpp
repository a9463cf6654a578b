// Which table is whose: an ordinary file, compiled once and for every CPU.
#include "kernels/kernels.h"

namespace etseg {

namespace baseline {
extern const Kernels kKernels;
}
#if defined(ETSEG_HAVE_X86_KERNELS)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

const Kernels& kernels_for([[maybe_unused]] Isa isa) {
#if defined(ETSEG_HAVE_X86_KERNELS)
  if (isa == Isa::kAvx512) return avx512::kKernels;
  if (isa == Isa::kAvx2) return avx2::kKernels;
#endif
  return baseline::kKernels;
}

}  // namespace etseg
