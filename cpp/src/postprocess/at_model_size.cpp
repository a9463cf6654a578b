// Maps of the size of the logits: every pixel by itself.
#include <algorithm>
#include <cstdint>

#include "postprocess/postprocessor_impl.h"

namespace etseg {

void Postprocessor::Impl::activate(const Executor& executor) {
  if (interleaved_ != nullptr) {
    return out_.plane_count == 0 ? label_interleaved(executor) : activate_interleaved(executor);
  }
  const ActivateArgs args = {logits_, 0, activation_, out_};
  over_pixels(executor, logits_.plane_size,
              [&](std::int64_t begin, std::int64_t end) { kernels_.activate(args, begin, end); });
}

// By tiles that stay in the first-level cache between the two kernels, one at a time a worker.
void Postprocessor::Impl::activate_interleaved(const Executor& executor) {
  constexpr std::int64_t kTileFloats = 6144;
  const std::int64_t channels = logits_.channels;
  const std::int64_t pixels = logits_.plane_size;
  const std::int64_t tile =
      std::max(kPixelGroup, kTileFloats / channels / kPixelGroup * kPixelGroup);
  const int workers = std::max(executor.concurrency(), 1);
  grow(planar_, workers * channels * tile);
  task_shares_.deal((pixels + tile - 1) / tile, workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      float* const planes = planar_.data() + worker * channels * tile;
      task_shares_.work(worker, [&](std::int64_t task) {
        const std::int64_t at = task * tile;
        const std::int64_t to = std::min(at + tile, pixels);
        kernels_.deinterleave({interleaved_, channels, pixels, planes, tile, at}, at, to);
        kernels_.activate({{planes, channels, tile}, at, activation_, out_}, at, to);
      });
    }
  });
}

void Postprocessor::Impl::label_interleaved(const Executor& executor) {
  constexpr std::int64_t kTaskFloats = 65536;
  const InterleavedArgs args = {interleaved_, logits_.channels, logits_.plane_size, out_};
  const std::int64_t pixels = args.pixels;
  const std::int64_t step =
      std::max(kPixelGroup, kTaskFloats / args.channels / kPixelGroup * kPixelGroup);
  const int workers = std::max(executor.concurrency(), 1);
  task_shares_.deal((pixels + step - 1) / step, workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      task_shares_.work(worker, [&](std::int64_t task) {
        kernels_.label_interleaved(args, task * step, std::min((task + 1) * step, pixels));
      });
    }
  });
}

}  // namespace etseg
