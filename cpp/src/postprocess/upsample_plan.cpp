#include "postprocess/upsample_plan.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace etseg {
namespace {

struct Tap {
  std::int64_t low;
  double fraction;  // the weight of low + 1, in [0, 1)
  bool beyond;      // outside of the first and the last centre, or on the last
};

Tap tap_of(std::int64_t i, const AxisMap& axis) {
  const std::int64_t position = i * axis.scale + axis.offset;  // in units of 1 / axis.unit
  if (position < 0) return {0, 0.0, true};
  const std::int64_t low = position / axis.unit;
  if (low >= axis.source - 1) return {axis.source - 1, 0.0, true};
  return {low, static_cast<double>(position % axis.unit) / static_cast<double>(axis.unit), false};
}

}  // namespace

std::optional<AxisMap> axis_map(LogitsGridKind kind, std::int64_t head, std::int64_t source,
                                std::int64_t target) {
  // With half-pixel centres the head's values are the logits, as if it enlarged nothing.
  std::int64_t steps = 1, head_steps = 1;
  if (kind == LogitsGridKind::kHalfPixel) {
    head = source;
  } else if (head > 1) {
    const std::int64_t common = std::gcd(source - 1, head - 1);
    steps = (source - 1) / common;
    head_steps = (head - 1) / common;
  } else {
    steps = 0;  // torch's choice: one value is the first logit
  }
  // ((2 i + 1) head - target) * steps / (2 target * head_steps)
  AxisMap map = {source, target, 0, 0, 0};
  std::int64_t greatest;
  const bool fits = !__builtin_mul_overflow(2 * head, steps, &map.scale) &&
                    !__builtin_mul_overflow(head - target, steps, &map.offset) &&
                    !__builtin_mul_overflow(2 * target, head_steps, &map.unit) &&
                    !__builtin_mul_overflow(map.scale, target, &greatest) &&
                    !__builtin_add_overflow(greatest, map.offset, &greatest);
  if (!fits) return std::nullopt;
  return map;
}

void UpsamplePlan::prepare(const AxisMap& rows, const AxisMap& columns, bool exact_rows) {
  if (rows == rows_ && columns == columns_ && exact_rows == exact_rows_) return;
  rows_ = {};
  const std::int64_t target_width = columns.target, target_height = rows.target;

  const auto padded = static_cast<std::size_t>(target_width + kMaxLanes);
  left.resize(padded);
  right.resize(padded);
  x_fraction.resize(padded);
  for (std::int64_t i = 0; i < target_width + kMaxLanes; ++i) {
    const Tap tap = tap_of(std::min(i, target_width - 1), columns);
    const auto at = static_cast<std::size_t>(i);
    left[at] = static_cast<std::int32_t>(tap.low);
    right[at] = static_cast<std::int32_t>(tap.low + (tap.fraction > 0 ? 1 : 0));
    x_fraction[at] = static_cast<float>(tap.fraction);
  }

  y_fraction.resize(static_cast<std::size_t>(target_height));
  bands.clear();
  for (std::int64_t y = 0; y < target_height;) {
    const auto band_at = [&](std::int64_t row) {
      const Tap tap = tap_of(row, rows);
      y_fraction[static_cast<std::size_t>(row)] = static_cast<float>(tap.fraction);
      const bool alone = tap.beyond || (exact_rows && tap.fraction == 0);
      return UpsampleBand{row, 1, tap.low, tap.low + (alone ? 0 : 1)};
    };
    const UpsampleBand first = band_at(y);
    std::int64_t end = y + 1;
    for (; end < target_height; ++end) {
      const UpsampleBand next = band_at(end);
      if (next.upper != first.upper || next.lower != first.lower) break;
    }
    const std::int64_t pieces = (end - y + kMaxBandRows - 1) / kMaxBandRows;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const std::int64_t from = y + (end - y) * piece / pieces;
      const std::int64_t to = y + (end - y) * (piece + 1) / pieces;
      bands.push_back({from, to - from, first.upper, first.lower});
    }
    y = end;
  }

  rows_ = rows;
  columns_ = columns;
  exact_rows_ = exact_rows;
}

}  // namespace etseg
