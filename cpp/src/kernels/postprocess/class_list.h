// The classes that a softmax has to look at.
#pragma once

#include "kernels/postprocess/pixel_vectors.h"

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

}  // namespace etseg::ETSEG_ISA_NAMESPACE
