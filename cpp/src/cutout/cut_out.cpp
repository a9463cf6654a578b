#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cutout/estimate.h"
#include "cutout/pyramid.h"
#include "etseg/cutout.h"
#include "kernels/cutout/cutout_kernels.h"

namespace etseg {
namespace {

constexpr std::int64_t kRows = 16;  // that a thread takes at least

void copy_row(const ImageView& image, std::int64_t y, const std::uint8_t* opacity,
              const CutoutTarget& target) {
  const std::uint8_t* from = image.data + y * image.row_stride;
  std::uint8_t* out = target.data + y * image.width * target.channels;
  for (std::int64_t x = 0; x < image.width; ++x, from += image.pixel_stride) {
    for (int c = 0; c < 3; ++c) *out++ = from[image.channel_offset[static_cast<std::size_t>(c)]];
    if (target.channels == 4) *out++ = opacity[x];
  }
}

// Whether any pixel is part of both. Most are not, and neither are those around them.
bool is_mixed(const std::uint8_t* opacity, std::int64_t count) {
  for (std::int64_t x = 0; x < count;) {
    std::uint64_t word = 0;
    if (count - x >= 8) std::memcpy(&word, opacity + x, 8);
    if (count - x >= 8 && (word == 0 || ~word == 0)) {
      x += 8;
      continue;
    }
    if (opacity[x] != 0 && opacity[x] != 255) return true;
    ++x;
  }
  return false;
}

}  // namespace

Status cut_out(const ImageView& image, const std::uint8_t* opacity, bool estimate, Isa isa,
               const CutoutTarget& target, const Executor& executor) {
  executor.run(0, image.height, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      copy_row(image, y, opacity + y * image.width, target);
  });
  if (!estimate) return {};
  try {
    std::vector<CutoutLevel> levels = make_levels(image.height, image.width);
    CutoutLevel& whole = levels.front();
    executor.run(0, whole.tiles_down, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t y = begin * kTile; y < std::min(end * kTile, image.height); ++y) {
        for (std::int64_t tile = 0; tile < whole.tiles_across; ++tile) {
          const std::int64_t x = tile * kTile;
          std::uint8_t& needed =
              whole.needed[static_cast<std::size_t>(y / kTile * whole.tiles_across + tile)];
          if (needed == 0) {
            needed = is_mixed(opacity + y * image.width + x,
                              std::min<std::int64_t>(kTile, image.width - x));
          }
        }
      }
    });
    if (std::find(whole.needed.begin(), whole.needed.end(), 1) == whole.needed.end()) return {};
    need_levels_above(levels);
    estimate_foreground({image, opacity}, levels, isa, target, executor);
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "no memory to estimate the foreground's colours"};
  }
  return {};
}

}  // namespace etseg
