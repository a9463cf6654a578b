// The triangle filter behind resizer.h: the choice of kernels, and what is kept between calls.
#include <algorithm>
#include <new>

#include "antialias_task.h"
#include "kernels/antialias_kernels.h"
#include "resizer.h"

namespace etseg {

namespace baseline {
extern const AntialiasKernels kAntialiasKernels;
}
#if defined(ETSEG_HAVE_X86_KERNELS)
namespace avx2 {
extern const AntialiasKernels kAntialiasKernels;
}
namespace avx512 {
extern const AntialiasKernels kAntialiasKernels;
}
#endif

const AntialiasKernels& antialias_kernels(Isa isa) {
#if defined(ETSEG_HAVE_X86_KERNELS)
  if (isa == Isa::kAvx512) return avx512::kAntialiasKernels;
  if (isa == Isa::kAvx2) return avx2::kAntialiasKernels;
#endif
  (void)isa;
  return baseline::kAntialiasKernels;
}

namespace {

// Zeroed when allocated, aligned to cache lines; keeps what it has when no more is asked for.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { release(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::byte* reserve(std::size_t size) {
    if (size <= size_) return data_;
    release();
    data_ = static_cast<std::byte*>(::operator new(size, kAlignment));
    std::fill_n(data_, size, std::byte{0});
    size_ = size;
    return data_;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};

  void release() {
    ::operator delete(data_, kAlignment);
    data_ = nullptr;
    size_ = 0;
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class AntialiasResizer final : public Resizer {
 public:
  explicit AntialiasResizer(Isa isa) : kernels_(antialias_kernels(isa)) {}

  void run(const ImageView& image, const Target& target, const Executor& executor) override {
    const Sizes sizes(image, target);
    if (sizes_ != sizes) {
      sizes_ = Sizes();  // should the next line throw
      axes_.assign(image, target, kernels_.lanes);
      sizes_ = sizes;
    }
    const AntialiasPlan plan(kernels_, axes_, image, target);
    const std::int64_t tasks = std::min<std::int64_t>(executor.concurrency(), target.height);
    std::byte* scratch = scratch_.reserve(static_cast<std::size_t>(tasks * plan.scratch_bytes));
    executor.run(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
      // The scratch of the first task of the range is nobody else's.
      const AntialiasTask task(plan, scratch + begin * plan.scratch_bytes);
      task.run(part_begin(target.height, tasks, begin), part_begin(target.height, tasks, end));
    });
  }

 private:
  const AntialiasKernels& kernels_;
  Sizes sizes_;
  AntialiasAxes axes_;
  Scratch scratch_;
};

}  // namespace

std::unique_ptr<Resizer> make_antialias_resizer(Isa isa) {
  return std::make_unique<AntialiasResizer>(isa);
}

}  // namespace etseg
