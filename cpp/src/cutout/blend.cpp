#include <cstddef>

#include "etseg/cutout.h"

namespace etseg {
namespace {

constexpr std::int64_t kRows = 16;  // that a thread takes at least

// value / 255, rounded; exact for what two bytes multiplied come to.
std::uint8_t by_255(unsigned value) {
  const unsigned more = value + 128;
  return static_cast<std::uint8_t>((more + (more >> 8)) >> 8);
}

void blend_row(std::uint8_t* picture, const std::uint8_t* opacity, const std::uint8_t* behind,
               const ImageView& background) {
  for (std::int64_t x = 0; x < background.width; ++x) {
    const unsigned front = opacity[x], rest = 255 - front;
    if (front == 0) {
      for (std::size_t c = 0; c < 3; ++c) picture[c] = behind[background.channel_offset[c]];
    } else if (rest != 0) {
      for (std::size_t c = 0; c < 3; ++c) {
        picture[c] = by_255(front * picture[c] + rest * behind[background.channel_offset[c]]);
      }
    }
    picture += 3;
    behind += background.pixel_stride;
  }
}

}  // namespace

void blend(std::uint8_t* picture, const std::uint8_t* opacity, const ImageView& background,
           const Executor& executor) {
  executor.run(0, background.height, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      blend_row(picture + 3 * y * background.width, opacity + y * background.width,
                background.data + y * background.row_stride, background);
    }
  });
}

}  // namespace etseg
