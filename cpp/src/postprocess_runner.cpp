#include "postprocess_runner.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

#include "etseg/map_pool.h"

namespace etseg {
namespace {

// Pixels go to the executor in groups of this many, so that kernels see whole vectors.
constexpr std::int64_t kGroup = 64;
constexpr std::int64_t kGroupsPerTask = 32;

// Cache lines, in floats.
constexpr std::int64_t kLine = 64 / sizeof(float);
std::int64_t lines(std::int64_t n) { return (n + kLine - 1) / kLine; }
float* aligned(std::vector<float>& memory) {
  const auto misplaced = reinterpret_cast<std::uintptr_t>(memory.data()) / sizeof(float) % kLine;
  return memory.data() + (misplaced == 0 ? 0 : kLine - static_cast<int>(misplaced));
}

template <typename T>
void grow(std::vector<T>& memory, std::int64_t size) {
  if (memory.size() < static_cast<std::size_t>(size)) memory.resize(static_cast<std::size_t>(size));
}

PixelActivation pixel_activation(Activation activation) {
  switch (activation) {
    case Activation::kSigmoid:
      return PixelActivation::kSigmoid;
    case Activation::kNone:
      return PixelActivation::kNone;
    case Activation::kSoftmax:
      break;
  }
  return PixelActivation::kSoftmax;
}

// kernel(begin, end) over pixels, in parallel.
template <typename Kernel>
void over_pixels(const Executor& executor, std::int64_t pixels, Kernel kernel) {
  const std::int64_t groups = (pixels + kGroup - 1) / kGroup;
  executor.run(0, groups, kGroupsPerTask, [&](std::int64_t begin, std::int64_t end) {
    kernel(begin * kGroup, std::min(end * kGroup, pixels));
  });
}

static_assert(MapPool::kOffset + kColumnsBeforeLine * sizeof(float) == 64);

// See UpsampleArgs.
bool lines_known(const std::vector<PlaneOut>& planes, std::int64_t width) {
  return width % kLine == 0 && std::all_of(planes.begin(), planes.end(), [](const auto& plane) {
           return reinterpret_cast<std::uintptr_t>(plane.data + kColumnsBeforeLine) % 64 == 0;
         });
}

Status validate(Activation activation, const LogitsView& logits, const PostprocessTarget& target) {
  // Column indices are 32 bits wide.
  const auto fits = [](std::int64_t n) { return n >= 1 && n <= INT32_MAX - kMaxLanes; };
  if (!fits(logits.channels) || !fits(logits.height) || !fits(logits.width)) {
    return {Code::kInvalidUserInput, "the logits have an empty or an absurdly long dimension"};
  }
  if (!fits(target.height) || !fits(target.width)) {
    return {Code::kInvalidUserInput, "the result's size is " + std::to_string(target.height) + "x" +
                                         std::to_string(target.width) +
                                         "; both must be between 1 and 2^31"};
  }
  if (activation == Activation::kSigmoid && logits.channels != 1) {
    return {Code::kInvalidConfig,
            "activation 'sigmoid' is for programs with one output channel; this one has " +
                std::to_string(logits.channels) + ", use 'softmax' or 'none'"};
  }
  const std::int64_t labels = label_count(logits.channels);
  if (target.argmax_type == LabelType::kUint8 && labels > 256) {
    return {Code::kInvalidUserInput, std::to_string(labels) +
                                         " labels do not fit a uint8 ARGMAX (256 at most); "
                                         "use int32"};
  }
  for (const ProbabilityPlane& plane : target.planes) {
    if (plane.label < 0 || plane.label >= labels) {
      return {Code::kInvalidUserInput, "label " + std::to_string(plane.label) +
                                           " is out of range; the program has labels 0 to " +
                                           std::to_string(labels - 1)};
    }
  }
  return {};
}

}  // namespace

PostprocessRunner::PostprocessRunner(Activation activation, Isa isa, std::int64_t past_caches)
    : kernels_(postprocess_kernels(isa)), activation_(activation), past_caches_(past_caches) {}

Status PostprocessRunner::run(const LogitsView& logits, const PostprocessTarget& target,
                              const Executor& executor) {
  ETSEG_RETURN_IF_ERROR(validate(activation_, logits, target));
  try {
    planes_.clear();
    for (const ProbabilityPlane& plane : target.planes)
      planes_.push_back({plane.label, plane.data});
    logits_ = {logits.data, logits.channels, logits.height * logits.width};
    const bool interleaved = logits.layout == LogitsLayout::kInterleaved && logits.channels > 1;
    interleaved_ = interleaved ? logits.data : nullptr;
    out_ = {target.argmax, target.argmax_type == LabelType::kUint8, planes_.data(),
            static_cast<std::int64_t>(planes_.size())};
    if (logits.height == target.height && logits.width == target.width) {
      activate(executor);
    } else {
      upsample(logits, target, executor);
    }
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory,
            "no memory for postprocessing; ask for fewer classes or a smaller size"};
  }
  return {};
}

void PostprocessRunner::activate(const Executor& executor) {
  if (interleaved_ != nullptr) {
    return out_.plane_count == 0 ? label_interleaved(executor) : activate_interleaved(executor);
  }
  const ActivateArgs args = {logits_, 0, pixel_activation(activation_), out_};
  over_pixels(executor, logits_.plane_size,
              [&](std::int64_t begin, std::int64_t end) { kernels_.activate(args, begin, end); });
}

// By tiles that stay in the first-level cache between the two kernels, one at a time a worker.
void PostprocessRunner::activate_interleaved(const Executor& executor) {
  constexpr std::int64_t kTileFloats = 6144;
  const std::int64_t channels = logits_.channels;
  const std::int64_t pixels = logits_.plane_size;
  const std::int64_t tile = std::max(kGroup, kTileFloats / channels / kGroup * kGroup);
  const int workers = std::max(executor.concurrency(), 1);
  grow(planar_, workers * channels * tile);
  shares_.deal((pixels + tile - 1) / tile, workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      float* const planes = planar_.data() + worker * channels * tile;
      shares_.work(worker, [&](std::int64_t task) {
        const std::int64_t at = task * tile;
        const std::int64_t to = std::min(at + tile, pixels);
        kernels_.deinterleave({interleaved_, channels, pixels, planes, tile, at}, at, to);
        kernels_.activate({{planes, channels, tile}, at, pixel_activation(activation_), out_}, at,
                          to);
      });
    }
  });
}

void PostprocessRunner::label_interleaved(const Executor& executor) {
  constexpr std::int64_t kTaskFloats = 65536;
  const InterleavedArgs args = {interleaved_, logits_.channels, logits_.plane_size, out_};
  const std::int64_t pixels = args.pixels;
  const std::int64_t step = std::max(kGroup, kTaskFloats / args.channels / kGroup * kGroup);
  const int workers = std::max(executor.concurrency(), 1);
  shares_.deal((pixels + step - 1) / step, workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      shares_.work(worker, [&](std::int64_t task) {
        kernels_.label_interleaved(args, task * step, std::min((task + 1) * step, pixels));
      });
    }
  });
}

std::uint32_t PostprocessRunner::classify(std::int64_t pixels, float* planes,
                                          const Executor& executor) {
  // Classes left out of a denominator together weigh less than e^-17 of it.
  const float margin = 17.0F + std::log(static_cast<float>(logits_.channels)) + kMaxLabelGap;
  const bool has_denominator = activation_ == Activation::kSoftmax && logits_.channels > 1;
  const ClassifyArgs args = {
      logits_,        pixel_activation(activation_),
      labels_.data(), has_denominator && out_.plane_count > 0 ? active_.data() : nullptr,
      tops_.data(),   margin};
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

// Copies the logits with what is finite held within +-kHuge, if anything is not.
bool PostprocessRunner::bring_into_range(std::int64_t count) {
  const auto too_large = [](float x) { return std::isfinite(x) && std::abs(x) > kHuge; };
  if (std::none_of(logits_.data, logits_.data + count, too_large)) return false;
  in_range_.assign(logits_.data, logits_.data + count);
  for (float& x : in_range_) {
    if (too_large(x)) x = std::copysign(kHuge, x);
  }
  logits_.data = in_range_.data();
  return true;
}

void PostprocessRunner::reserve_scratch(std::int64_t channels, std::int64_t width, int workers) {
  const std::int64_t vectors = 2 * kMaxLanes * channels;
  const std::int64_t classes = lines(channels) * kLine;
  const std::int64_t columns = lines(width) * kLine;
  // An odd number of cache lines, lest the rows of cells fight for the same places of a cache.
  const std::int64_t cell_stride = (lines(width) | 1) * kLine;
  const std::int64_t integers = classes + 2 * columns;
  const std::int64_t floats = vectors + kValuesPerCell * cell_stride;
  grow(floats_, workers * floats + kLine);
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

void PostprocessRunner::upsample(const LogitsView& source, const PostprocessTarget& target,
                                 const Executor& executor) {
  const std::int64_t channels = source.channels;
  const std::int64_t pixels = source.height * source.width;
  const int workers = std::max(executor.concurrency(), 1);
  float* planes = nullptr;
  if (interleaved_ != nullptr) {
    // Planes of whole cache lines, and an odd number of them.
    logits_.plane_size = (lines(pixels) | 1) * kLine;
    grow(planar_, channels * logits_.plane_size + kLine);
    planes = aligned(planar_);
    logits_.data = planes;
  }
  grow(labels_, pixels);
  if (out_.plane_count > 0) {
    grow(active_, (channels + 31) / 32 * logits_.plane_size);
    grow(tops_, pixels);
  }
  reserve_scratch(channels, source.width, workers);

  std::uint32_t saw = classify(pixels, planes, executor);
  interleaved_ = nullptr;  // planes from here on
  if ((saw & kSawHuge) != 0 && bring_into_range(channels * logits_.plane_size)) {
    saw = classify(pixels, planes, executor);
  }
  const bool has_nonfinite = (saw & kSawNonFinite) != 0;
  plan_.prepare(source.height, source.width, target.height, target.width, has_nonfinite);

  const bool has_denominator = activation_ == Activation::kSoftmax && channels > 1;
  const std::int64_t bytes_out =
      target.height * target.width * ((out_.labels_are_uint8 ? 1 : 4) + 4 * out_.plane_count);
  const UpsampleArgs args = {logits_,
                             source.width,
                             pixel_activation(activation_),
                             labels_.data(),
                             has_denominator && out_.plane_count > 0 ? active_.data() : nullptr,
                             tops_.data(),
                             has_nonfinite,
                             target.width,
                             plan_.left.data(),
                             plan_.right.data(),
                             plan_.x_fraction.data(),
                             plan_.y_fraction.data(),
                             out_,
                             bytes_out >= past_caches_,
                             lines_known(planes_, target.width)};
  // Each worker has its scratch. Bands differ much in cost.
  shares_.deal(static_cast<std::int64_t>(plan_.bands.size()), workers);
  executor.run(0, workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      const UpsampleScratch& scratch = scratch_[static_cast<std::size_t>(worker)];
      shares_.work(worker, [&](std::int64_t band) {
        kernels_.upsample(args, plan_.bands[static_cast<std::size_t>(band)], scratch);
      });
    }
  });
}

}  // namespace etseg
