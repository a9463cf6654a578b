#include "cutout/estimate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

#include "kernels/kernels.h"
#include "task_shares.h"

namespace etseg {
namespace {

using Colours = std::array<std::uint8_t, 6>;  // foreground, background

// What counts as foreground or background alone for the colours to begin with.
constexpr int kNearlyOpaque = 230, kNearlyClear = 25;

std::uint8_t rounded(float value) { return static_cast<std::uint8_t>(value + 0.5F); }

// Mean colours of what is foreground, and background, alone; of all where nothing is.
class MeanColours {
 public:
  void add(const std::uint8_t* pixel, const ImageView& image, int opacity) {
    for (int group = 0; group < 3; ++group) {
      const bool belongs =
          group == 2 || (group == 0 ? opacity > kNearlyOpaque : opacity < kNearlyClear);
      if (!belongs) continue;
      ++counts_[group];
      for (int c = 0; c < 3; ++c) {
        sums_[group][c] += pixel[image.channel_offset[static_cast<std::size_t>(c)]];
      }
    }
  }
  Colours colours() const {
    Colours made;
    for (int i = 0; i < 6; ++i) {
      const int group = counts_[i / 3] == 0 ? 2 : i / 3;
      made[static_cast<std::size_t>(i)] =
          static_cast<std::uint8_t>((sums_[group][i % 3] + counts_[group] / 2) / counts_[group]);
    }
    return made;
  }

 private:
  std::int64_t counts_[3] = {};
  std::int64_t sums_[3][3] = {};
};

// Of the pixels of the first level that is no larger than a tile.
Colours mean_colours(const Mixture& mixture, const std::vector<CutoutLevel>& levels) {
  const ImageView& image = mixture.image;
  const auto& level = *std::find_if(levels.begin(), levels.end(), [](const CutoutLevel& one) {
    return one.tiles_across == 1 && one.tiles_down == 1;
  });
  MeanColours mean;
  for (std::int64_t i = 0; i < level.height * level.width; ++i) {
    const std::int64_t y = level.in_image(i / level.width, image.height);
    const std::int64_t x = level.in_image(i % level.width, image.width);
    mean.add(image.data + y * image.row_stride + x * image.pixel_stride, image,
             mixture.opacity[y * image.width + x]);
  }
  return mean.colours();
}

// One tile of a level after another, in a workspace of its own.
class TileWorker {
 public:
  TileWorker(const Mixture& mixture, const CutoutKernels& kernels, const CutoutTarget& target)
      : mixture_(mixture), kernels_(kernels), target_(target), tile_(new CutoutTile()) {}

  // `above` is the level above, or null for the topmost, which begins with `first`.
  void run(CutoutLevel& level, const CutoutLevel* above, const Colours& first,
           std::int64_t number) {
    const std::int64_t top = number / level.tiles_across * kTile;
    const std::int64_t left = number % level.tiles_across * kTile;
    for (int row = 0; row < kSide; ++row) load(level, above, first, top + row - kMargin, left, row);
    for (int i = 1; i <= kIterations; ++i) kernels_.refine(*tile_, i % 2, i, kSide - i);
    const std::int64_t rows = std::min<std::int64_t>(kTile, level.height - top);
    const std::int64_t columns = std::min<std::int64_t>(kTile, level.width - left);
    for (int row = 0; row < rows; ++row) {
      if (level.colours) {
        keep(level.colours.get() + 6 * ((top + row) * level.width + left), row, columns);
      } else {
        finish((top + row) * level.width + left, row, columns);
      }
    }
  }

 private:
  // Beyond its edges a level goes on as it ends there.
  void load(const CutoutLevel& level, const CutoutLevel* above, const Colours& first,
            std::int64_t y, std::int64_t left, int row) {
    const ImageView& image = mixture_.image;
    y = std::clamp<std::int64_t>(y, 0, level.height - 1);
    const std::int64_t from_y = level.in_image(y, image.height);
    const std::uint8_t* const pixels = image.data + from_y * image.row_stride;
    const std::uint8_t* const opacity = mixture_.opacity + from_y * image.width;
    const std::uint8_t* const parents =
        above == nullptr ? nullptr : above->colours.get() + 6 * (y / 2 * above->width);
    for (int column = 0; column < kSide; ++column) {
      const int at = row * kSide + column;
      const std::int64_t x = std::clamp<std::int64_t>(left + column - kMargin, 0, level.width - 1);
      const std::int64_t from_x = level.in_image(x, image.width);
      tile_->opacity[at] = static_cast<float>(opacity[from_x]) / 255.0F;
      for (std::size_t c = 0; c < 3; ++c) {
        tile_->image[c][at] = pixels[from_x * image.pixel_stride + image.channel_offset[c]];
      }
      const std::uint8_t* const colours = parents == nullptr ? first.data() : parents + 6 * (x / 2);
      for (int i = 0; i < 6; ++i) tile_->colours[0][i][at] = colours[i];
    }
  }

  void keep(std::uint8_t* colours, int row, std::int64_t columns) const {
    const int at = (row + kMargin) * kSide + kMargin;
    for (std::int64_t x = 0; x < columns; ++x) {
      for (int i = 0; i < 6; ++i) *colours++ = rounded(tile_->colours[kIterations % 2][i][at + x]);
    }
  }

  void finish(std::int64_t pixel, int row, std::int64_t columns) const {
    const int at = (row + kMargin) * kSide + kMargin;
    for (std::int64_t x = 0; x < columns; ++x) {
      const int opacity = mixture_.opacity[pixel + x];
      if (opacity == 0 || opacity == 255) continue;
      std::uint8_t* const out = target_.data + (pixel + x) * target_.channels;
      for (int c = 0; c < 3; ++c) out[c] = rounded(tile_->colours[kIterations % 2][c][at + x]);
    }
  }

  const Mixture& mixture_;
  const CutoutKernels& kernels_;
  const CutoutTarget& target_;
  std::unique_ptr<CutoutTile> tile_;
};

std::vector<std::int64_t> needed_tiles(const CutoutLevel& level) {
  std::vector<std::int64_t> tiles;
  for (std::size_t i = 0; i < level.needed.size(); ++i) {
    if (level.needed[i] != 0) tiles.push_back(static_cast<std::int64_t>(i));
  }
  return tiles;
}

}  // namespace

void estimate_foreground(const Mixture& mixture, std::vector<CutoutLevel>& levels, Isa isa,
                         const CutoutTarget& target, const Executor& executor) {
  const Colours first = mean_colours(mixture, levels);
  std::vector<TileWorker> workers;
  for (int i = 0; i < executor.concurrency(); ++i) {
    workers.emplace_back(mixture, kernels_for(isa).cutout, target);
  }
  TaskShares shares;
  const CutoutLevel* above = nullptr;
  for (auto level = levels.rbegin(); level != levels.rend(); above = &*level++) {
    const std::vector<std::int64_t> tiles = needed_tiles(*level);
    const auto count = static_cast<std::int64_t>(tiles.size());
    const std::int64_t busy = std::min(count, static_cast<std::int64_t>(workers.size()));
    shares.deal(count, busy);
    executor.run(0, busy, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        shares.work(i, [&](std::int64_t task) {
          workers[static_cast<std::size_t>(i)].run(*level, above, first,
                                                   tiles[static_cast<std::size_t>(task)]);
        });
      }
    });
  }
}

}  // namespace etseg
