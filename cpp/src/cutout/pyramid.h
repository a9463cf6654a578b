// The levels of an estimation: the image at its size, at half of it, and so on to a single pixel,
// each cut into tiles of which only those are worked on that the level below asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace etseg {

struct CutoutLevel {
  std::int64_t height = 0, width = 0;
  std::int64_t tiles_across = 0, tiles_down = 0;
  int halvings = 0;                         // of the image
  std::vector<std::uint8_t> needed;         // by tile, row by row
  std::unique_ptr<std::uint8_t[]> colours;  // 6 bytes a pixel: foreground, background. Of needed
                                            // tiles; none of the image's own size

  // Where in the image the pixel `at` of this level is looked at, on an axis of that size.
  std::int64_t in_image(std::int64_t at, std::int64_t size) const {
    const std::int64_t middle = (at << halvings) + ((std::int64_t{1} << halvings) >> 1);
    return middle < size ? middle : size - 1;
  }
};

// All levels, the image's own first, with no tile needed yet.
std::vector<CutoutLevel> make_levels(std::int64_t height, std::int64_t width);

// Tiles of each level that the needed tiles of the one before look at, and room for their colours.
void need_levels_above(std::vector<CutoutLevel>& levels);

}  // namespace etseg
