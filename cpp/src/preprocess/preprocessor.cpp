#include "etseg/preprocess.h"

#include <new>
#include <string>

#include "preprocess/resampler.h"

namespace etseg {
namespace {

// Up to here the exact arithmetic of filter_tables.h fits 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;

bool is_size(std::int64_t size) { return size >= 1 && size <= kMaxSize; }

std::string shape(std::int64_t height, std::int64_t width) {
  return std::to_string(height) + " x " + std::to_string(width);
}

}  // namespace

struct Preprocessor::Impl {
  PreprocessOptions options;
  std::unique_ptr<Resampler> resampler;
};

Preprocessor::Preprocessor(const PreprocessOptions& options, Isa isa)
    : impl_(std::make_unique<Impl>(Impl{options, make_resampler(options.resample, isa)})) {}
Preprocessor::~Preprocessor() = default;
Preprocessor::Preprocessor(Preprocessor&&) noexcept = default;
Preprocessor& Preprocessor::operator=(Preprocessor&&) noexcept = default;

Status Preprocessor::run(const ImageView& image, std::int64_t height, std::int64_t width, void* out,
                         const Executor& executor) {
  if (!is_size(image.height) || !is_size(image.width) || !is_size(height) || !is_size(width)) {
    return Status(Code::kInvalidUserInput,
                  "cannot resize an image of " + shape(image.height, image.width) + " to " +
                      shape(height, width) + " (height x width); every size must be from 1 to " +
                      std::to_string(kMaxSize));
  }
  const PreprocessOptions& options = impl_->options;
  ResampleTarget target = {height, width, {}, {}, out, options.format};
  for (std::size_t c = 0; c < 3; ++c) {
    const double std = options.std[c];
    target.scale[c] = options.format.bytes ? 1.0F : static_cast<float>(1.0 / (255.0 * std));
    target.bias[c] = options.format.bytes ? 0.0F : static_cast<float>(-options.mean[c] / std);
  }
  try {
    impl_->resampler->run(image, target, executor);
  } catch (const std::bad_alloc&) {
    // Short enough to need no memory of its own.
    return Status(Code::kOutOfMemory, "out of memory");
  }
  return Status();
}

}  // namespace etseg
