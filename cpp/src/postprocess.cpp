#include "etseg/postprocess.h"

#include <new>
#include <optional>
#include <vector>

#include "kernels/isa.h"
#include "postprocess_runner.h"

namespace etseg {
namespace {

// The planar form of channels-last logits.
void deinterleave(const LogitsView& logits, float* planar, const Executor& executor) {
  const std::int64_t pixels = logits.height * logits.width;
  executor.run(0, logits.height, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      const std::int64_t at = y * logits.width;
      const float* row = logits.data + at * logits.channels;
      for (std::int64_t c = 0; c < logits.channels; ++c) {
        float* out = planar + c * pixels + at;
        for (std::int64_t x = 0; x < logits.width; ++x) out[x] = row[x * logits.channels + c];
      }
    }
  });
}

}  // namespace

struct Postprocessor::Impl {
  Activation activation;
  std::optional<PostprocessRunner> runner;  // from the first call on
  std::vector<float> planar;
};

Postprocessor::Postprocessor(Activation activation)
    : impl_(new Impl{activation, std::nullopt, {}}) {}
Postprocessor::~Postprocessor() = default;
Postprocessor::Postprocessor(Postprocessor&&) noexcept = default;
Postprocessor& Postprocessor::operator=(Postprocessor&&) noexcept = default;

Status Postprocessor::run(const LogitsView& logits, const PostprocessTarget& target,
                          const Executor& executor) {
  if (!impl_->runner.has_value()) {
    const Result<Isa>& isa = active_isa();
    if (!isa.ok()) return isa.status();
    impl_->runner.emplace(impl_->activation, isa.value());
  }
  if (logits.layout == LogitsLayout::kInterleaved && logits.channels > 1) {
    try {
      impl_->planar.resize(
          static_cast<std::size_t>(logits.channels * logits.height * logits.width));
    } catch (const std::bad_alloc&) {
      return {Code::kOutOfMemory, "no memory for postprocessing"};
    }
    deinterleave(logits, impl_->planar.data(), executor);
    LogitsView planar = logits;
    planar.data = impl_->planar.data();
    planar.layout = LogitsLayout::kPlanar;
    return impl_->runner->run(planar, target, executor);
  }
  return impl_->runner->run(logits, target, executor);
}

}  // namespace etseg
