// What is asked for, checked, and which way it is computed.
#include "etseg/postprocess.h"

#include <cstdint>
#include <new>
#include <string>

#include "kernels/kernels.h"
#include "postprocess/postprocessor_impl.h"

namespace etseg {
namespace {

// Column indices are 32 bits wide.
bool fits(std::int64_t n) { return n >= 1 && n <= INT32_MAX - kMaxLanes; }

std::string size_text(std::int64_t height, std::int64_t width) {
  return std::to_string(height) + "x" + std::to_string(width);
}

Status validate(Activation activation, const LogitsView& logits, const PostprocessTarget& target) {
  if (!fits(logits.channels) || !fits(logits.height) || !fits(logits.width)) {
    return {Code::kInvalidUserInput, "the logits have an empty or an absurdly long dimension"};
  }
  if (!fits(target.height) || !fits(target.width)) {
    return {Code::kInvalidUserInput, "the result's size is " +
                                         size_text(target.height, target.width) +
                                         "; both must be between 1 and 2^31"};
  }
  if (target.own_points && (target.height != logits.height || target.width != logits.width)) {
    return {Code::kInvalidUserInput,
            "maps at the logits' own points must be " + size_text(logits.height, logits.width) +
                " as they are, not " + size_text(target.height, target.width)};
  }
  const std::int64_t labels = label_count(logits.channels, activation);
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

struct AxisMaps {
  AxisMap rows, columns;
  bool are_identities() const { return rows.is_identity() && columns.is_identity(); }
};

Result<AxisMaps> axis_maps(const LogitsGrid& grid, const LogitsView& logits,
                           const PostprocessTarget& target) {
  const auto of_axis = [&](std::int64_t head, std::int64_t source, std::int64_t pixels) {
    return grid.kind == LogitsGridKind::kHalfPixel || fits(head)
               ? axis_map(grid.kind, head, source, pixels)
               : std::nullopt;
  };
  const auto rows = of_axis(grid.head_height, logits.height, target.height);
  const auto columns = of_axis(grid.head_width, logits.width, target.width);
  if (!rows || !columns) {
    return Status(Code::kInvalidUserInput,
                  "logits of " + size_text(logits.height, logits.width) + " on a head's grid of " +
                      size_text(grid.head_height, grid.head_width) + " cannot be enlarged to " +
                      size_text(target.height, target.width) +
                      ": every size must be at least 1, and all be small enough together to be "
                      "counted in 64 bits");
  }
  return AxisMaps{*rows, *columns};
}

}  // namespace

Postprocessor::Impl::Impl(Activation activation, Isa isa, const LogitsGrid& grid,
                          std::int64_t past_caches)
    : kernels_(kernels_for(isa).postprocess),
      activation_(activation),
      grid_(grid),
      past_caches_(past_caches) {}

Status Postprocessor::Impl::run(const LogitsView& logits, const PostprocessTarget& target,
                                const Executor& executor) {
  ETSEG_RETURN_IF_ERROR(validate(activation_, logits, target));
  const Result<AxisMaps> maps = axis_maps(grid_, logits, target);
  if (!maps.ok()) return maps.status();
  try {
    planes_.clear();
    for (const ProbabilityPlane& plane : target.planes)
      planes_.push_back({plane.label, plane.data});
    logits_ = {logits.data, logits.channels, logits.height * logits.width};
    const bool interleaved = logits.layout == LogitsLayout::kInterleaved && logits.channels > 1;
    interleaved_ = interleaved ? logits.data : nullptr;
    out_ = {target.argmax, target.argmax_type == LabelType::kUint8, planes_.data(),
            static_cast<std::int64_t>(planes_.size())};
    const bool own_points = target.own_points || maps.value().are_identities();
    if (activation_ == Activation::kSigmoid && logits.channels > 1) {
      // One way for both sizes.
      const AxisMap rows = {logits.height, logits.height, 1, 0, 1};
      const AxisMap columns = {logits.width, logits.width, 1, 0, 1};
      add_none_of_them(logits);
      upsample(own_points ? rows : maps.value().rows, own_points ? columns : maps.value().columns,
               executor);
    } else if (own_points) {
      activate(executor);
    } else {
      upsample(maps.value().rows, maps.value().columns, executor);
    }
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory,
            "no memory for postprocessing; ask for fewer classes or a smaller size"};
  }
  return {};
}

Postprocessor::Postprocessor(Activation activation, Isa isa, const LogitsGrid& grid,
                             std::int64_t past_caches)
    : impl_(std::make_unique<Impl>(activation, isa, grid, past_caches)) {}
Postprocessor::~Postprocessor() = default;
Postprocessor::Postprocessor(Postprocessor&&) noexcept = default;
Postprocessor& Postprocessor::operator=(Postprocessor&&) noexcept = default;

Status Postprocessor::run(const LogitsView& logits, const PostprocessTarget& target,
                          const Executor& executor) {
  return impl_->run(logits, target, executor);
}

}  // namespace etseg
