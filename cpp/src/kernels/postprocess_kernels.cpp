// Ordinary file: which table is whose.
#include "kernels/postprocess_kernels.h"

namespace etseg {

namespace baseline {
extern const PostprocessKernels kPostprocessKernels;
}
#if defined(ETSEG_HAVE_X86_KERNELS)
namespace avx2 {
extern const PostprocessKernels kPostprocessKernels;
}
namespace avx512 {
extern const PostprocessKernels kPostprocessKernels;
}
#endif

const PostprocessKernels& postprocess_kernels(Isa isa) {
#if defined(ETSEG_HAVE_X86_KERNELS)
  if (isa == Isa::kAvx512) return avx512::kPostprocessKernels;
  if (isa == Isa::kAvx2) return avx2::kPostprocessKernels;
#endif
  static_cast<void>(isa);
  return baseline::kPostprocessKernels;
}

}  // namespace etseg
