// Readable twin of the foreground's estimation: whole levels, in double, one pixel after another.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "etseg/image.h"

namespace slow {

using Colours = std::array<double, 6>;  // foreground, background

// A level, and what lies `kMargin` pixels around it: its edge, repeated.
struct Level {
  static constexpr int kMargin = 2;
  std::int64_t height, width;
  std::vector<double> opacity;
  std::vector<std::array<double, 3>> image;
  std::vector<Colours> colours;

  std::size_t at(std::int64_t y, std::int64_t x) const {
    return static_cast<std::size_t>((y + kMargin) * (width + 2 * kMargin) + x + kMargin);
  }
};

inline Level make_level(const etseg::ImageView& image, const std::uint8_t* opacity, int halvings) {
  const std::int64_t step = std::int64_t{1} << halvings;
  Level level;
  level.height = (image.height + step - 1) / step;
  level.width = (image.width + step - 1) / step;
  const auto pixels = static_cast<std::size_t>((level.height + 2 * Level::kMargin) *
                                               (level.width + 2 * Level::kMargin));
  level.opacity.resize(pixels);
  level.image.resize(pixels);
  level.colours.resize(pixels);
  for (std::int64_t y = -Level::kMargin; y < level.height + Level::kMargin; ++y) {
    for (std::int64_t x = -Level::kMargin; x < level.width + Level::kMargin; ++x) {
      const std::int64_t from_y = std::min(
          std::clamp<std::int64_t>(y, 0, level.height - 1) * step + step / 2, image.height - 1);
      const std::int64_t from_x = std::min(
          std::clamp<std::int64_t>(x, 0, level.width - 1) * step + step / 2, image.width - 1);
      level.opacity[level.at(y, x)] = opacity[from_y * image.width + from_x] / 255.0;
      for (std::size_t c = 0; c < 3; ++c) {
        level.image[level.at(y, x)][c] =
            image.data[from_y * image.row_stride + from_x * image.pixel_stride +
                       image.channel_offset[c]];
      }
    }
  }
  return level;
}

// Means over what is foreground alone, and background alone; over all where nothing is.
inline Colours mean_colours(const Level& level) {
  double sums[3][3] = {}, counts[3] = {};
  for (std::int64_t y = 0; y < level.height; ++y) {
    for (std::int64_t x = 0; x < level.width; ++x) {
      const double opacity = 255 * level.opacity[level.at(y, x)];
      const bool belongs[3] = {opacity > 230.5, opacity < 24.5, true};
      for (int group = 0; group < 3; ++group) {
        if (!belongs[group]) continue;
        counts[group] += 1;
        for (std::size_t c = 0; c < 3; ++c) sums[group][c] += level.image[level.at(y, x)][c];
      }
    }
  }
  Colours mean;
  for (std::size_t i = 0; i < 6; ++i) {
    const std::size_t group = counts[i / 3] == 0 ? 2 : i / 3;
    mean[i] = std::floor(sums[group][i % 3] / counts[group] + 0.5);
  }
  return mean;
}

// Minimises, for each pixel, (a F + (1 - a) B - I)^2 + sum of w_j ((F - F_j)^2 + (B - B_j)^2), by
// its 2x2 equations.
inline void refine(Level& level) {
  for (int i = 1; i <= Level::kMargin; ++i) {
    const std::vector<Colours> before = level.colours;
    for (std::int64_t y = i - Level::kMargin; y < level.height + Level::kMargin - i; ++y) {
      for (std::int64_t x = i - Level::kMargin; x < level.width + Level::kMargin - i; ++x) {
        const std::size_t here = level.at(y, x);
        const double a = level.opacity[here], b = 1 - a;
        for (std::size_t c = 0; c < 3; ++c) {
          double sum = 0, front = a * level.image[here][c], behind = b * level.image[here][c];
          for (const std::size_t j :
               {level.at(y - 1, x), level.at(y, x - 1), level.at(y, x + 1), level.at(y + 1, x)}) {
            const double weight = 1e-5 + 0.1 * std::abs(a - level.opacity[j]);
            sum += weight;
            front += weight * before[j][c];
            behind += weight * before[j][c + 3];
          }
          const double determinant = (a * a + sum) * (b * b + sum) - a * a * b * b;
          const double f = (front * (b * b + sum) - behind * a * b) / determinant;
          const double g = (behind * (a * a + sum) - front * a * b) / determinant;
          level.colours[here][c] = std::clamp(f, 0.0, 255.0);
          level.colours[here][c + 3] = std::clamp(g, 0.0, 255.0);
        }
      }
    }
  }
}

// The foreground's colours, red, green, blue, of each pixel.
inline std::vector<std::uint8_t> foreground(const etseg::ImageView& image,
                                            const std::uint8_t* opacity) {
  int top = 0;
  while (std::int64_t{1} << top < std::max(image.height, image.width)) ++top;
  int small = 0;
  while (30 * (std::int64_t{1} << small) < std::max(image.height, image.width)) ++small;
  const Colours mean = mean_colours(make_level(image, opacity, small));
  Level above;
  for (int halvings = top; halvings >= 0; --halvings) {
    Level level = make_level(image, opacity, halvings);
    for (std::int64_t y = -Level::kMargin; y < level.height + Level::kMargin; ++y) {
      for (std::int64_t x = -Level::kMargin; x < level.width + Level::kMargin; ++x) {
        level.colours[level.at(y, x)] =
            halvings == top
                ? mean
                : above.colours[above.at(std::clamp<std::int64_t>(y, 0, level.height - 1) / 2,
                                         std::clamp<std::int64_t>(x, 0, level.width - 1) / 2)];
      }
    }
    refine(level);
    for (Colours& colours : level.colours) {
      for (double& value : colours) value = std::floor(value + 0.5);
    }
    above = level;
  }
  std::vector<std::uint8_t> out;
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        out.push_back(static_cast<std::uint8_t>(above.colours[above.at(y, x)][c]));
      }
    }
  }
  return out;
}

}  // namespace slow
