// The resamplers of preprocess.h in double, straight from its definitions: slow, and readable.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "etseg/image.h"
#include "etseg/preprocess.h"

struct Size {
  std::int64_t height, width;
};

inline double pixel(const etseg::ImageView& image, std::int64_t y, std::int64_t x, std::size_t c) {
  return image.data[y * image.row_stride + x * image.pixel_stride + image.channel_offset[c]];
}

struct Tap {
  std::int64_t index;
  double weight;
};

// The taps of output i of an axis, straight from the definitions in preprocess.h.
inline std::vector<Tap> taps(etseg::Resample resample, std::int64_t source, std::int64_t target,
                             std::int64_t i) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double centre = (static_cast<double>(i) + 0.5) * scale - 0.5;
  if (resample == etseg::Resample::kBilinear) {
    const double at = std::clamp(centre, 0.0, static_cast<double>(source - 1));
    const auto first = static_cast<std::int64_t>(std::floor(at));
    const double weight = at - static_cast<double>(first);
    return {{first, 1.0 - weight}, {std::min(first + 1, source - 1), weight}};
  }
  const double support = std::max(scale, 1.0);
  std::vector<Tap> result;
  double sum = 0.0;
  const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support) - 1);
  const auto end = std::min<std::int64_t>(source, static_cast<std::int64_t>(centre + support) + 2);
  for (std::int64_t j = begin; j < end; ++j) {
    const double weight = 1.0 - std::abs(static_cast<double>(j) - centre) / support;
    if (weight <= 0.0) continue;
    result.push_back({j, weight});
    sum += weight;
  }
  for (Tap& tap : result) tap.weight /= sum;
  return result;
}

// Bytes, not yet normalised: 0..255.
inline std::vector<double> twin(etseg::Resample resample, const etseg::ImageView& image,
                                Size target) {
  std::vector<std::vector<Tap>> columns;
  for (std::int64_t x = 0; x < target.width; ++x) {
    columns.push_back(taps(resample, image.width, target.width, x));
  }
  std::vector<double> out(static_cast<std::size_t>(3 * target.height * target.width));
  for (std::int64_t y = 0; y < target.height; ++y) {
    const std::vector<Tap> rows = taps(resample, image.height, target.height, y);
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::int64_t x = 0; x < target.width; ++x) {
        double sum = 0.0;
        for (const Tap& row : rows) {
          for (const Tap& column : columns[static_cast<std::size_t>(x)]) {
            sum += row.weight * column.weight * pixel(image, row.index, column.index, c);
          }
        }
        const std::int64_t at = (static_cast<std::int64_t>(c) * target.height + y) * target.width;
        out[static_cast<std::size_t>(at + x)] = sum;
      }
    }
  }
  return out;
}
