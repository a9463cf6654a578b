// How a map is written: block by block of columns, from the first row of a band down.
#pragma once

#include "kernels/postprocess/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// body(block) with all blocks of columns of the maps, from the left.
template <typename Body>
static inline void for_each_block(const UpsampleArgs& args, Body body) {
  constexpr bool kBlockIsCacheLine = kCanStream && kLanes * sizeof(float) == 64;
  const bool by_cache_lines =
      kBlockIsCacheLine && args.past_caches && args.target_width % kLanes == 0;
  for (std::int64_t x = 0; x < args.target_width;) {
    ColumnBlock block = make_block(args, x);
    if (by_cache_lines && x == 0) block.lanes = kColumnsBeforeCacheLine;
    block.past_caches = by_cache_lines && args.cache_lines_known && block.lanes == kLanes;
    body(block);
    x += block.lanes;
  }
}

// Writes a block of a map from its first row down.
template <bool kPastCaches>
class MapRows {
 public:
  MapRows(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
          std::int64_t p)
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
inline void write_map(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
                      std::int64_t p, Write write) {
  if (block.past_caches) {
    write(MapRows<true>(args, band, block, p));
  } else {
    write(MapRows<false>(args, band, block, p));
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
