// What is asked for, checked, and which way it is computed.
#include "etseg/postprocess.h"

#include <cstdint>
#include <new>
#include <string>

#include "kernels/kernels.h"
#include "postprocess/postprocessor_impl.h"

namespace etseg {
namespace {

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

Postprocessor::Impl::Impl(Activation activation, Isa isa, std::int64_t past_caches)
    : kernels_(kernels_for(isa).postprocess), activation_(activation), past_caches_(past_caches) {}

Status Postprocessor::Impl::run(const LogitsView& logits, const PostprocessTarget& target,
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

Postprocessor::Postprocessor(Activation activation, Isa isa, std::int64_t past_caches)
    : impl_(std::make_unique<Impl>(activation, isa, past_caches)) {}
Postprocessor::~Postprocessor() = default;
Postprocessor::Postprocessor(Postprocessor&&) noexcept = default;
Postprocessor& Postprocessor::operator=(Postprocessor&&) noexcept = default;

Status Postprocessor::run(const LogitsView& logits, const PostprocessTarget& target,
                          const Executor& executor) {
  return impl_->run(logits, target, executor);
}

}  // namespace etseg
