// The greatest class of a few vectors of pixels, in one pass over class-major planes.
#pragma once

#include "kernels/postprocess/pixel_vectors.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

struct LoadWhole {
  F32 operator()(const float* from) const { return load<F32>(from); }
};
struct LoadPart {
  std::int64_t lanes;
  F32 operator()(const float* from) const { return load_part(from, lanes); }
};

template <int kVectors>
struct TopClass {
  F32 best[kVectors];
  I32 label[kVectors];      // the lowest index among the greatest
  I32 magnitude[kVectors];  // bits of the greatest absolute value: integers order like floats
};

inline constexpr std::int32_t kInfinityBits = 0x7F800000;
inline constexpr std::int32_t kHugeBits = 0x7E800000;

template <int kVectors, typename Load>
static inline TopClass<kVectors> top_class(const ClassPlanes& logits, std::int64_t at, Load load_) {
  TopClass<kVectors> top;
  const float* from = logits.data + at;
  for (int v = 0; v < kVectors; ++v) {
    top.best[v] = load_(from + v * kLanes);
    top.label[v] = I32{};
    top.magnitude[v] = (I32)top.best[v] & 0x7FFFFFFF;
  }
  for (std::int64_t c = 1; c < logits.channels; ++c) {
    from += logits.plane_size;
    const I32 index = broadcast_int(static_cast<std::int32_t>(c));
    for (int v = 0; v < kVectors; ++v) {
      const F32 x = load_(from + v * kLanes);
      const I32 bits = (I32)x & 0x7FFFFFFF;
      top.magnitude[v] = bits > top.magnitude[v] ? bits : top.magnitude[v];
      const I32 greater = x > top.best[v];
      top.best[v] = greater ? x : top.best[v];
      top.label[v] = greater ? index : top.label[v];
    }
  }
  return top;
}

// Cuts [begin, end) into groups of four vectors, single vectors, and what is left of one.
template <typename Group>
static inline void for_each_group(std::int64_t begin, std::int64_t end, Group group) {
  std::int64_t at = begin;
  for (; at + 4 * kLanes <= end; at += 4 * kLanes) group.template run<4>(at, LoadWhole{}, kLanes);
  for (; at + kLanes <= end; at += kLanes) group.template run<1>(at, LoadWhole{}, kLanes);
  if (at < end) group.template run<1>(at, LoadPart{end - at}, end - at);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
