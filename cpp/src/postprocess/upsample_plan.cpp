#include "postprocess/upsample_plan.h"

#include <algorithm>
#include <cstddef>

namespace etseg {
namespace {

struct Tap {
  std::int64_t low;
  double fraction;  // the weight of low + 1, in [0, 1)
  bool beyond;      // outside of the first and the last centre, or on the last
};

Tap tap_of(std::int64_t i, std::int64_t in, std::int64_t out) {
  const std::int64_t position = (2 * i + 1) * in - out;  // in units of 1 / (2 * out)
  if (position < 0) return {0, 0.0, true};
  const std::int64_t low = position / (2 * out);
  if (low >= in - 1) return {in - 1, 0.0, true};
  return {low, static_cast<double>(position % (2 * out)) / static_cast<double>(2 * out), false};
}

}  // namespace

void UpsamplePlan::prepare(std::int64_t height, std::int64_t width, std::int64_t target_height,
                           std::int64_t target_width, bool exact_rows) {
  if (height == height_ && width == width_ && target_height == target_height_ &&
      target_width == target_width_ && exact_rows == exact_rows_) {
    return;
  }
  height_ = 0;  // no size, until all is planned

  const auto padded = static_cast<std::size_t>(target_width + kMaxLanes);
  left.resize(padded);
  right.resize(padded);
  x_fraction.resize(padded);
  for (std::int64_t i = 0; i < target_width + kMaxLanes; ++i) {
    const Tap tap = tap_of(std::min(i, target_width - 1), width, target_width);
    const auto at = static_cast<std::size_t>(i);
    left[at] = static_cast<std::int32_t>(tap.low);
    right[at] = static_cast<std::int32_t>(tap.low + (tap.fraction > 0 ? 1 : 0));
    x_fraction[at] = static_cast<float>(tap.fraction);
  }

  y_fraction.resize(static_cast<std::size_t>(target_height));
  bands.clear();
  for (std::int64_t y = 0; y < target_height;) {
    const auto band_at = [&](std::int64_t row) {
      const Tap tap = tap_of(row, height, target_height);
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

  height_ = height;
  width_ = width;
  target_height_ = target_height;
  target_width_ = target_width;
  exact_rows_ = exact_rows;
}

}  // namespace etseg
