#include "etseg/postprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <vector>

namespace etseg {
namespace {

// Where target pixel i falls between source pixels.
struct Tap {
  std::int64_t low, high;
  double fraction;  // the weight of `high`
};

Tap tap_of(std::int64_t i, std::int64_t in, std::int64_t out) {
  const std::int64_t numerator = (2 * i + 1) * in - out;
  if (numerator <= 0) return {0, 0, 0.0};
  const std::int64_t low = numerator / (2 * out);
  const std::int64_t rest = numerator % (2 * out);
  if (low >= in - 1) return {in - 1, in - 1, 0.0};
  if (rest == 0) return {low, low, 0.0};
  return {low, low + 1, static_cast<double>(rest) / static_cast<double>(2 * out)};
}

Status validate(Activation activation, const LogitsView& logits, const PostprocessTarget& target) {
  const auto positive = [](std::int64_t n) { return n >= 1; };
  if (!positive(logits.channels) || !positive(logits.height) || !positive(logits.width)) {
    return {Code::kInvalidUserInput, "the logits have an empty dimension"};
  }
  if (!positive(target.height) || !positive(target.width)) {
    return {Code::kInvalidUserInput, "the result's size is " + std::to_string(target.height) + "x" +
                                         std::to_string(target.width) +
                                         "; both must be at least 1"};
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

struct Postprocessor::Impl {
  Activation activation;
};

Postprocessor::Postprocessor(Activation activation) : impl_(new Impl{activation}) {}
Postprocessor::~Postprocessor() = default;
Postprocessor::Postprocessor(Postprocessor&&) noexcept = default;
Postprocessor& Postprocessor::operator=(Postprocessor&&) noexcept = default;

Status Postprocessor::run(const LogitsView& logits, const PostprocessTarget& target,
                          const Executor& executor) {
  ETSEG_RETURN_IF_ERROR(validate(impl_->activation, logits, target));
  const Activation activation = impl_->activation;
  const std::int64_t channels = logits.channels;
  const std::int64_t plane_size = logits.height * logits.width;
  std::vector<float> scratch;
  try {
    scratch.resize(static_cast<std::size_t>(channels * target.height));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "no memory for the postprocessing scratch"};
  }
  executor.run(0, target.height, 1, [&](std::int64_t begin, std::int64_t end) {
    float* p = scratch.data() + begin * channels;
    for (std::int64_t y = begin; y < end; ++y) {
      const Tap ty = tap_of(y, logits.height, target.height);
      for (std::int64_t x = 0; x < target.width; ++x) {
        const Tap tx = tap_of(x, logits.width, target.width);
        bool finite = true;
        float top = -std::numeric_limits<float>::infinity();
        for (std::int64_t c = 0; c < channels; ++c) {
          const float* plane = logits.data + c * plane_size;
          const double a = plane[ty.low * logits.width + tx.low];
          const double b = plane[ty.low * logits.width + tx.high];
          const double d = plane[ty.high * logits.width + tx.low];
          const double e = plane[ty.high * logits.width + tx.high];
          const double upper = a + tx.fraction * (b - a);
          const double lower = d + tx.fraction * (e - d);
          p[c] = static_cast<float>(upper + ty.fraction * (lower - upper));
          finite = finite && std::isfinite(a) && std::isfinite(b) && std::isfinite(d) &&
                   std::isfinite(e);
          top = std::max(top, p[c]);
        }
        std::int32_t label = 0;
        float scale = 1.0F;
        if (activation == Activation::kSigmoid) {
          p[0] = 1.0F / (1.0F + std::exp(-p[0]));
        } else if (activation == Activation::kSoftmax) {
          double sum = 0;
          for (std::int64_t c = 0; c < channels; ++c) sum += p[c] = std::exp(p[c] - top);
          scale = static_cast<float>(1.0 / sum);
        }
        if (channels == 1) {
          label = p[0] * scale < 0.5F ? 1 : 0;
        } else {
          for (std::int32_t c = 1; c < channels; ++c) {
            if (p[c] > p[label]) label = c;
          }
        }
        if (!finite) label = 0;
        const std::int64_t at = y * target.width + x;
        if (target.argmax_type == LabelType::kUint8) {
          static_cast<std::uint8_t*>(target.argmax)[at] = static_cast<std::uint8_t>(label);
        } else {
          static_cast<std::int32_t*>(target.argmax)[at] = label;
        }
        for (const ProbabilityPlane& plane : target.planes) {
          float value = plane.label < channels ? p[plane.label] * scale : 1.0F - p[0] * scale;
          if (!finite) value = std::numeric_limits<float>::quiet_NaN();
          plane.data[at] = value;
        }
      }
    }
  });
  return {};
}

}  // namespace etseg
