// An image row as runs of consecutive bytes, whatever its strides: what a kernel that reads whole
// vectors needs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "etseg/image.h"

namespace etseg {

// Column x of run r lies at offset[r] + x * step, where columns count by rising address: `mirrored`
// says that they run against those of the image. One run: the channels are interleaved, channel c
// lies channel_offset[c] further. Three: each channel has a run of its own.
struct ByteRuns {
  int runs;
  int channels;      // 1: the three are the same bytes
  int step;          // 1 .. 8
  int column_bytes;  // from the first to the last byte of a column that belongs to it
  std::ptrdiff_t offset[3];
  int channel_offset[3];
  bool mirrored;
  bool packed;  // there are no such runs: each row is to be copied to interleaved bytes first

  explicit ByteRuns(const ImageView& image) {
    constexpr std::ptrdiff_t kMaxStep = 8;
    const auto& channel = image.channel_offset;
    const auto [low, high] = std::minmax_element(channel.begin(), channel.end());
    const std::ptrdiff_t stride = std::abs(image.pixel_stride);
    const std::ptrdiff_t extent = *high - *low + 1;
    *this = ByteRuns();
    channels = extent == 1 ? 1 : 3;
    mirrored = image.pixel_stride < 0;
    const std::ptrdiff_t origin = mirrored ? (image.width - 1) * image.pixel_stride : 0;
    if (stride >= 1 && stride <= kMaxStep && extent <= stride) {
      step = static_cast<int>(stride);
      column_bytes = static_cast<int>(extent);
      offset[0] = origin + *low;
      for (std::size_t c = 0; c < 3; ++c) channel_offset[c] = static_cast<int>(channel[c] - *low);
    } else if (stride >= 1 && stride <= kMaxStep / 2) {
      runs = 3;
      step = static_cast<int>(stride);
      column_bytes = 1;
      for (std::size_t c = 0; c < 3; ++c) offset[c] = origin + channel[c];
    } else {
      packed = true;
      mirrored = false;
      step = column_bytes = channels;
      for (int c = 0; c < channels; ++c) channel_offset[c] = c;
    }
  }

  // From the first byte of column 0 on.
  std::int64_t bytes(std::int64_t columns) const { return (columns - 1) * step + column_bytes; }

 private:
  ByteRuns()
      : runs(1),
        channels(3),
        step(3),
        column_bytes(3),
        offset{},
        channel_offset{},
        mirrored(false),
        packed(false) {}
};

// `columns` columns of one row from column x on, interleaved.
inline void pack_columns(const ImageView& image, std::int64_t y, std::int64_t x,
                         std::int64_t columns, int channels, std::uint8_t* to) {
  const std::uint8_t* from = image.data + y * image.row_stride + x * image.pixel_stride;
  for (std::int64_t i = 0; i < columns; ++i, from += image.pixel_stride) {
    for (int c = 0; c < channels; ++c) {
      *to++ = from[image.channel_offset[static_cast<std::size_t>(c)]];
    }
  }
}

}  // namespace etseg
