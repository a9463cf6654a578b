// What the kernels of upsampled probability maps share: their classes, and how a map is written.
#pragma once

#include "kernels/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// The classes that count in the denominators between some source columns, and those asked for.
struct ClassList {
  std::int32_t* classes;
  std::int64_t count = 0;
  std::int64_t first = 0, last = -1;  // source columns
};

// Powers of e of classes that deep below the greatest one are held there: they weigh nothing.
inline constexpr float kDeepest = 64.0F;

[[maybe_unused]] static void list_classes(const UpsampleArgs& args, const UpsampleBand& band,
                                          std::int64_t first, std::int64_t last, ClassList& list) {
  list.first = first;
  list.last = last;
  list.count = 0;
  for (std::int64_t word = 0; word * 32 < args.logits.channels; ++word) {
    const std::uint32_t* rows = args.active + word * args.logits.plane_size;
    const std::uint32_t* upper = rows + band.upper * args.width;
    const std::uint32_t* lower = rows + band.lower * args.width;
    I32 many = {};
    std::int64_t x = first;
    for (; x + kLanes <= last + 1; x += kLanes) many |= load<I32>(upper + x) | load<I32>(lower + x);
    std::uint32_t bits = any_bits(many);
    for (; x <= last; ++x) bits |= upper[x] | lower[x];
    for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
      const std::int64_t label = args.out.planes[p].label;
      if (label / 32 == word) bits |= std::uint32_t{1} << (label % 32);
    }
    for (; bits != 0; bits &= bits - 1) {
      list.classes[list.count++] = static_cast<std::int32_t>(word * 32 + __builtin_ctz(bits));
    }
  }
}

// body(block) with all blocks of columns of the maps, from the left.
template <typename Body>
static inline void for_each_block(const UpsampleArgs& args, Body body) {
  constexpr bool kBlockIsLine = kCanStream && kLanes * sizeof(float) == 64;
  const bool by_lines = kBlockIsLine && args.past_caches && args.target_width % kLanes == 0;
  for (std::int64_t x = 0; x < args.target_width;) {
    Block block = make_block(args, x);
    if (by_lines && x == 0) block.lanes = kColumnsBeforeLine;
    block.past_caches = by_lines && args.lines_known && block.lanes == kLanes;
    body(block);
    x += block.lanes;
  }
}

// Writes a block of a map from its first row down.
template <bool kPastCaches>
class MapRows {
 public:
  MapRows(const UpsampleArgs& args, const UpsampleBand& band, const Block& block, std::int64_t p)
      : to_(args.out.planes[p].data + band.y * args.target_width + block.x),
        stride_(args.target_width),
        lanes_(block.lanes) {}
  void put(F32 value) {
    if constexpr (kPastCaches) {
      stream(to_, value);
    } else {
      store_part(to_, value, lanes_);
    }
    to_ += stride_;
  }

 private:
  float* to_;
  const std::int64_t stride_;
  const std::int64_t lanes_;
};

// write(rows) with the rows of map p.
template <typename Write>
inline void write_map(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                      std::int64_t p, Write write) {
  if (block.past_caches) {
    write(MapRows<true>(args, band, block, p));
  } else {
    write(MapRows<false>(args, band, block, p));
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
