#include "cutout/pyramid.h"

#include <algorithm>

#include "kernels/cutout/cutout_kernels.h"

namespace etseg {
namespace {

// The first and last tile of the level above that a tile looks at, on one axis.
struct Range {
  std::int64_t first, last;
};
Range parents_of(std::int64_t tile, std::int64_t size) {
  const std::int64_t begin = std::max<std::int64_t>(tile * kTile - kMargin, 0);
  const std::int64_t end = std::min(tile * kTile + kTile + kMargin, size);
  return {begin / 2 / kTile, (end - 1) / 2 / kTile};
}

}  // namespace

std::vector<CutoutLevel> make_levels(std::int64_t height, std::int64_t width) {
  std::vector<CutoutLevel> levels;
  for (int halvings = 0;; ++halvings) {
    CutoutLevel& level = levels.emplace_back();
    level.height = height;
    level.width = width;
    level.tiles_across = (width + kTile - 1) / kTile;
    level.tiles_down = (height + kTile - 1) / kTile;
    level.halvings = halvings;
    level.needed.resize(static_cast<std::size_t>(level.tiles_across * level.tiles_down));
    if (height == 1 && width == 1) return levels;
    height = (height + 1) / 2;
    width = (width + 1) / 2;
  }
}

void need_levels_above(std::vector<CutoutLevel>& levels) {
  for (std::size_t i = 1; i < levels.size(); ++i) {
    const CutoutLevel& below = levels[i - 1];
    CutoutLevel& level = levels[i];
    for (std::int64_t tile = 0; tile < below.tiles_across * below.tiles_down; ++tile) {
      if (below.needed[static_cast<std::size_t>(tile)] == 0) continue;
      const Range rows = parents_of(tile / below.tiles_across, below.height);
      const Range columns = parents_of(tile % below.tiles_across, below.width);
      for (std::int64_t y = rows.first; y <= rows.last; ++y) {
        for (std::int64_t x = columns.first; x <= columns.last; ++x) {
          level.needed[static_cast<std::size_t>(y * level.tiles_across + x)] = 1;
        }
      }
    }
    // Not cleared: of what no tile needs, the system gives no memory.
    const auto pixels = static_cast<std::size_t>(level.height * level.width);
    level.colours.reset(new std::uint8_t[6 * pixels]);
  }
}

}  // namespace etseg
