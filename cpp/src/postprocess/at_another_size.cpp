// Maps whose pixels lie between the logits: the source pixels are classified, then the target's
// rows are made band by band. In docs/kernels.md: "Scratch", and kPastCaches among the thresholds.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "etseg/map_pool.h"
#include "postprocess/postprocessor_impl.h"

namespace etseg {
namespace {

constexpr std::int64_t kCacheLineFloats = 64 / sizeof(float);

std::int64_t cache_lines(std::int64_t floats) {
  return (floats + kCacheLineFloats - 1) / kCacheLineFloats;
}

float* aligned(std::vector<float>& memory) {
  const auto misplaced =
      reinterpret_cast<std::uintptr_t>(memory.data()) / sizeof(float) % kCacheLineFloats;
  return memory.data() + (misplaced == 0 ? 0 : kCacheLineFloats - static_cast<int>(misplaced));
}

static_assert(MapPool::kOffset + kColumnsBeforeCacheLine * sizeof(float) == 64);

// See UpsampleArgs.
bool cache_lines_known(const std::vector<PlaneOut>& planes, std::int64_t width) {
  return width % kCacheLineFloats == 0 &&
         std::all_of(planes.begin(), planes.end(), [](const auto& plane) {
           return reinterpret_cast<std::uintptr_t>(plane.data + kColumnsBeforeCacheLine) % 64 == 0;
         });
}

}  // namespace

std::uint32_t Postprocessor::Impl::classify(std::int64_t pixels, float* planes,
                                            const Executor& executor) {
  // Classes left out of a denominator together weigh less than e^-17 of it.
  const float margin = 17.0F + std::log(static_cast<float>(logits_.channels)) + kMaxLabelGap;
  const bool has_denominator = activation_ == Activation::kSoftmax && logits_.channels > 1;
  const ClassifyArgs args = {logits_,
                             activation_,
                             labels_.data(),
                             has_denominator && out_.plane_count > 0 ? active_.data() : nullptr,
                             tops_.data(),
                             margin,
                             has_shares() ? means_.data() : nullptr};
  std::atomic<std::uint32_t> saw = 0;
  over_pixels(executor, pixels, [&](std::int64_t begin, std::int64_t end) {
    if (interleaved_ != nullptr) {
      kernels_.deinterleave({interleaved_, logits_.channels, pixels, planes, logits_.plane_size, 0},
                            begin, end);
    }
    saw.fetch_or(kernels_.classify(args, begin, end), std::memory_order_relaxed);
  });
  return saw.load(std::memory_order_relaxed);
}

// "None of them" wins where all others are below one half: it is a class whose logit is 0.
void Postprocessor::Impl::add_none_of_them(const LogitsView& logits) {
  const std::int64_t channels = logits.channels, pixels = logits.height * logits.width;
  grow(with_none_, (channels + 1) * pixels);
  if (interleaved_ != nullptr) {
    kernels_.deinterleave({interleaved_, channels, pixels, with_none_.data(), pixels, 0}, 0,
                          pixels);
    interleaved_ = nullptr;
  } else {
    std::copy_n(logits.data, channels * pixels, with_none_.data());
  }
  std::fill_n(with_none_.data() + channels * pixels, pixels, 0.0F);
  logits_ = {with_none_.data(), channels + 1, pixels};
}

// Copies the logits with what is finite held within +-kHuge, if anything is not.
bool Postprocessor::Impl::bring_into_range(std::int64_t count) {
  const auto too_large = [](float x) { return std::isfinite(x) && std::abs(x) > kHuge; };
  if (std::none_of(logits_.data, logits_.data + count, too_large)) return false;
  in_range_.assign(logits_.data, logits_.data + count);
  for (float& x : in_range_) {
    if (too_large(x)) x = std::copysign(kHuge, x);
  }
  logits_.data = in_range_.data();
  return true;
}

void Postprocessor::Impl::reserve_scratch(std::int64_t channels, std::int64_t width, int workers) {
  const std::int64_t vectors = 2 * kMaxLanes * channels;
  const std::int64_t classes = cache_lines(channels) * kCacheLineFloats;
  const std::int64_t columns = cache_lines(width) * kCacheLineFloats;
  // An odd number of cache lines, lest the rows of cells fight for the same places of a cache.
  const std::int64_t cell_stride = (cache_lines(width) | 1) * kCacheLineFloats;
  const std::int64_t integers = classes + 2 * columns;
  const std::int64_t floats = vectors + kValuesPerCell * cell_stride;
  grow(floats_, workers * floats + kCacheLineFloats);
  grow(integers_, workers * integers);
  float* const begin = aligned(floats_);
  scratch_.resize(static_cast<std::size_t>(workers));
  for (int i = 0; i < workers; ++i) {
    float* const own = begin + i * floats;
    std::int32_t* const own_integers = integers_.data() + i * integers;
    scratch_[static_cast<std::size_t>(i)] = {
        own,           own_integers, own_integers + classes, own_integers + classes + columns,
        own + vectors, cell_stride};
  }
}

void Postprocessor::Impl::upsample(const AxisMap& rows, const AxisMap& columns,
                                   const Executor& executor) {
  const std::int64_t channels = logits_.channels;
  const std::int64_t pixels = rows.source * columns.source;
  const int workers = std::max(executor.concurrency(), 1);
  float* planes = nullptr;
  if (interleaved_ != nullptr) {
    // Planes of whole cache lines, and an odd number of them.
    logits_.plane_size = (cache_lines(pixels) | 1) * kCacheLineFloats;
    grow(planar_, channels * logits_.plane_size + kCacheLineFloats);
    planes = aligned(planar_);
    logits_.data = planes;
  }
  grow(labels_, pixels);
  if (out_.plane_count > 0) {
    grow(active_, (channels + 31) / 32 * logits_.plane_size);
    grow(tops_, pixels);
  }
  if (has_shares()) grow(means_, pixels);
  reserve_scratch(channels, columns.source, workers);

  std::uint32_t saw = classify(pixels, planes, executor);
  interleaved_ = nullptr;  // planes from here on
  if ((saw & kSawHuge) != 0 && bring_into_range(channels * logits_.plane_size)) {
    saw = classify(pixels, planes, executor);
  }
  const bool has_nonfinite = (saw & kSawNonFinite) != 0;
  plan_.prepare(rows, columns, has_nonfinite);

  const bool has_denominator = activation_ == Activation::kSoftmax && channels > 1;
  const std::int64_t bytes_out =
      rows.target * columns.target * ((out_.labels_are_uint8 ? 1 : 4) + 4 * out_.plane_count);
  const UpsampleArgs args = {logits_,
                             columns.source,
                             activation_,
                             labels_.data(),
                             has_denominator && out_.plane_count > 0 ? active_.data() : nullptr,
                             tops_.data(),
                             means_.data(),
                             has_nonfinite,
                             columns.target,
                             plan_.left.data(),
                             plan_.right.data(),
                             plan_.x_fraction.data(),
                             plan_.y_fraction.data(),
                             out_,
                             bytes_out >= past_caches_,
                             cache_lines_known(planes_, columns.target)};
  // Each worker has its scratch. Bands differ much in cost.
  task_shares_.deal(static_cast<std::int64_t>(plan_.bands.size()), workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      const UpsampleScratch& scratch = scratch_[static_cast<std::size_t>(worker)];
      task_shares_.work(worker, [&](std::int64_t band) {
        kernels_.upsample(args, plan_.bands[static_cast<std::size_t>(band)], scratch);
      });
    }
  });
}

}  // namespace etseg
