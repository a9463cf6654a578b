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
