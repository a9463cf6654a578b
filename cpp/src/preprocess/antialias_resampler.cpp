// The triangle filter behind resampler.h: what is kept between calls.
#include <algorithm>
#include <new>

#include "kernels/kernels.h"
#include "preprocess/antialias_task.h"
#include "preprocess/resampler.h"

namespace etseg {

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

class AntialiasResampler final : public Resampler {
 public:
  explicit AntialiasResampler(Isa isa) : kernels_(kernels_for(isa).antialias) {}

  void run(const ImageView& image, const ResampleTarget& target,
           const Executor& executor) override {
    const ResampleSizes sizes(image, target);
    if (sizes_ != sizes) {
      sizes_ = ResampleSizes();  // should the next line throw
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
  ResampleSizes sizes_;
  AntialiasAxes axes_;
  Scratch scratch_;
};

}  // namespace

std::unique_ptr<Resampler> make_antialias_resampler(Isa isa) {
  return std::make_unique<AntialiasResampler>(isa);
}

}  // namespace etseg
