// Images of every memory layout, in memory that ends where they end.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "check.h"
#include "etseg/image.h"
#include "slow_preprocess.h"

enum class Layout {
  kRgb,
  kBgr,
  kRgba,
  kGrey,
  kGreyOfRgb,  // one channel of an interleaved image
  kPaddedRows,
  kUpsideDown,  // negative row stride
  kFlipped,     // negative pixel stride
  kFlippedRgba,
  kEverySecond,  // image[:, ::2]
  kEveryFifth,   // too far apart to be read as runs of bytes
  kPlanar,       // a CHW array seen as HWC
  kOnePixel,     // pixel stride 0: numpy.broadcast_to
  kOneRow,       // row stride 0
};
inline constexpr Layout kLayouts[] = {
    Layout::kRgb,         Layout::kBgr,         Layout::kRgba,       Layout::kGrey,
    Layout::kGreyOfRgb,   Layout::kPaddedRows,  Layout::kUpsideDown, Layout::kFlipped,
    Layout::kFlippedRgba, Layout::kEverySecond, Layout::kEveryFifth, Layout::kPlanar,
    Layout::kOnePixel,    Layout::kOneRow,
};

// A view whose data is null: the strides alone.
inline etseg::ImageView strides(Layout layout, Size size) {
  etseg::ImageView view;
  view.height = size.height;
  view.width = size.width;
  const auto width = static_cast<std::ptrdiff_t>(size.width);
  const auto place = [&](std::ptrdiff_t pixel_stride, std::ptrdiff_t row_stride) {
    view.pixel_stride = pixel_stride;
    view.row_stride = row_stride;
  };
  place(3, 3 * width);
  switch (layout) {
    case Layout::kRgb:
      break;
    case Layout::kBgr:
      view.channel_offset = {2, 1, 0};
      break;
    case Layout::kRgba:
      place(4, 4 * width);
      break;
    case Layout::kGrey:
      place(1, width);
      view.channel_offset = {0, 0, 0};
      break;
    case Layout::kGreyOfRgb:
      view.channel_offset = {1, 1, 1};
      break;
    case Layout::kPaddedRows:
      place(3, 3 * width + 5);
      break;
    case Layout::kUpsideDown:
      place(3, -3 * width);
      break;
    case Layout::kFlipped:
      place(-3, 3 * width);
      break;
    case Layout::kFlippedRgba:
      place(-4, -4 * width - 8);
      view.channel_offset = {3, 2, 1};
      break;
    case Layout::kEverySecond:
      place(6, 6 * width);
      break;
    case Layout::kEveryFifth:
      place(-15, 15 * width);
      break;
    case Layout::kPlanar:
      place(1, width);
      view.channel_offset = {0, width * size.height, 2 * width * size.height};
      break;
    case Layout::kOnePixel:
      place(0, 3);
      break;
    case Layout::kOneRow:
      place(3, 0);
      break;
  }
  return view;
}

// The lowest and one past the highest byte of a view, relative to `data`.
struct Extent {
  std::ptrdiff_t low, high;
};
inline Extent extent(const etseg::ImageView& view) {
  const auto [low, high] =
      std::minmax_element(view.channel_offset.begin(), view.channel_offset.end());
  const std::ptrdiff_t rows = (view.height - 1) * view.row_stride;
  const std::ptrdiff_t columns = (view.width - 1) * view.pixel_stride;
  return {*low + std::min<std::ptrdiff_t>(rows, 0) + std::min<std::ptrdiff_t>(columns, 0),
          *high + std::max<std::ptrdiff_t>(rows, 0) + std::max<std::ptrdiff_t>(columns, 0) + 1};
}

// Memory of exactly the extent of a view, between two pages that may not be touched: at the end of
// the accessible pages, or at their beginning.
class GuardedImage {
 public:
  GuardedImage(const etseg::ImageView& like, bool at_end, unsigned seed) : view(like) {
    const Extent bytes = extent(like);
    const auto size = static_cast<std::size_t>(bytes.high - bytes.low);
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inside = (size + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    base_ = static_cast<std::uint8_t*>(
        mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED);
    CHECK(mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) == 0);
    std::uint8_t* first = base_ + page + (at_end ? inside - size : 0);
    std::minstd_rand random(seed);
    // Extremes among the noise, so that sums come near to their bounds.
    for (std::size_t i = 0; i < size; ++i) {
      first[i] = static_cast<std::uint8_t>(i / 512 % 2 == 0 ? random() >> 7 : 255);
    }
    view.data = first - bytes.low;
  }
  ~GuardedImage() { munmap(base_, mapped_); }
  GuardedImage(const GuardedImage&) = delete;
  GuardedImage& operator=(const GuardedImage&) = delete;

  etseg::ImageView view;

 private:
  std::uint8_t* base_ = nullptr;
  std::size_t mapped_ = 0;
};
