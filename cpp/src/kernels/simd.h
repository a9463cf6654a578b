// Vectors of the instruction set this file is compiled for, by the compiler's vector extensions:
// operators, comparisons and ?: work lane by lane. The same source gives SSE2, AVX2, AVX-512 or
// NEON; there are no intrinsics, so there is one version of each kernel.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/isa.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

using F32 = float __attribute__((vector_size(4 * kLanes)));
using I32 = std::int32_t __attribute__((vector_size(4 * kLanes)));
using U8 = std::uint8_t __attribute__((vector_size(kLanes)));

// memcpy of a whole vector compiles to one unaligned move.
template <typename V, typename T>
static inline V load(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}
template <typename V, typename T>
static inline void store(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}
static inline F32 broadcast(float x) { return F32{} + x; }
static inline F32 max(F32 a, F32 b) { return a > b ? a : b; }

}  // namespace etseg::ETSEG_ISA_NAMESPACE
