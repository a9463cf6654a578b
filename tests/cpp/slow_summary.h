// What a label map says of an image, found the slow way: the image's labels pixel by pixel, then
// each label's mask by itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "etseg/summary.h"

namespace slow {

// The pixel of the map in which the centre of the image's pixel i lies, found by looking.
inline std::int64_t nearest(std::int64_t i, std::int64_t length, std::int64_t target) {
  std::int64_t found = 0;
  while ((found + 1) * 2 * target <= (2 * i + 1) * length) ++found;
  return found;
}

// The image's labels, row by row.
template <typename T>
std::vector<std::int64_t> at_size(const std::vector<T>& map, std::int64_t height,
                                  std::int64_t width, etseg::ImageSize image) {
  std::vector<std::int64_t> labels;
  for (std::int64_t y = 0; y < image.height; ++y) {
    const std::int64_t row = nearest(y, height, image.height);
    for (std::int64_t x = 0; x < image.width; ++x) {
      labels.push_back(map[static_cast<std::size_t>(row * width + nearest(x, width, image.width))]);
    }
  }
  return labels;
}

inline etseg::LabelExtent extent(const std::vector<std::int64_t>& labels, etseg::ImageSize image,
                                 std::int64_t label) {
  etseg::LabelExtent found;
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      if (labels[static_cast<std::size_t>(y * image.width + x)] != label) continue;
      if (found.pixels == 0) found = {0, x, y, x + 1, y + 1};
      ++found.pixels;
      if (x < found.left) found.left = x;
      if (x >= found.right) found.right = x + 1;
      found.bottom = y + 1;
    }
  }
  return found;
}

// The runs of a label's mask down the columns, then each as characters of six bits.
inline std::string runs(const std::vector<std::int64_t>& labels, etseg::ImageSize image,
                        std::int64_t label) {
  std::vector<std::int64_t> counts = {0};
  bool value = false;
  for (std::int64_t x = 0; x < image.width; ++x) {
    for (std::int64_t y = 0; y < image.height; ++y) {
      if ((labels[static_cast<std::size_t>(y * image.width + x)] == label) != value) {
        counts.push_back(0);
        value = !value;
      }
      ++counts.back();
    }
  }
  std::string text;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::int64_t number = i > 2 ? counts[i] - counts[i - 2] : counts[i];
    for (bool done = false; !done;) {
      const std::int64_t bits = ((number % 32) + 32) % 32;
      number = (number - bits) / 32;
      done = number == (bits >= 16 ? -1 : 0);
      text += static_cast<char>(48 + bits + (done ? 0 : 32));
    }
  }
  return text;
}

}  // namespace slow
