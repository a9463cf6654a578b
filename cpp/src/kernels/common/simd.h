// Vectors of the instruction set this file is compiled for, by the compiler's vector extensions:
// operators, comparisons and ?: work lane by lane. The same source gives SSE2, AVX2, AVX-512 or
// NEON; there are no intrinsics (but for a kind of store, below), so there is one version of each
// kernel.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/common/isa.h"

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
using U32 = std::uint32_t __attribute__((vector_size(4 * kLanes)));
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
// Stores that go past the caches, for maps that do not fit them: nothing is read before it is
// overwritten, and nothing is pushed out. Only whole cache lines gain from it. Where the
// instruction set has none, plain ones.
#if defined(__SSE2__)
inline constexpr bool kCanStream = true;
template <typename V, typename T>
static inline void stream(T* to, V v) {  // `to` is aligned to the vector
#if defined(__clang__)
  __builtin_nontemporal_store(v, reinterpret_cast<V*>(to));
#elif defined(__AVX512F__)
  __builtin_ia32_movntps512(reinterpret_cast<float*>(to), (F32)v);
#elif defined(__AVX2__)
  __builtin_ia32_movntps256(reinterpret_cast<float*>(to), (F32)v);
#else
  __builtin_ia32_movntps(reinterpret_cast<float*>(to), (F32)v);
#endif
}
// Before other threads may be told that streamed stores are done.
static inline void end_streams() { __builtin_ia32_sfence(); }
#else
inline constexpr bool kCanStream = false;
template <typename V, typename T>
static inline void stream(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}
static inline void end_streams() {}
#endif

// Lanes I of a and b, b's counted after a's. __builtin_shufflevector came to GCC with 12.
template <int... I>
static inline F32 shuffle(F32 a, F32 b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, I...);
#else
  return __builtin_shuffle(a, b, I32{I...});
#endif
}

// Lane i of the result is v[index[i]]. GCC has it for all vectors, clang none but the instructions'
// own names.
static inline F32 permute(F32 v, I32 index) {
#if __has_builtin(__builtin_shuffle)
  return __builtin_shuffle(v, index);
#elif defined(__AVX512F__)
  return __builtin_ia32_permvarsf512(v, index);
#elif defined(__AVX2__)
  return __builtin_ia32_permvarsf256(v, index);
#else
  F32 permuted = {};
  for (int i = 0; i < kLanes; ++i) permuted[i] = v[index[i]];
  return permuted;
#endif
}

// Both halves of a vector, as vectors, in place of intrinsics: compilers make moves of registers of
// them, or none.
template <typename Half, typename Whole>
static inline Half low_half(Whole v) {
  Half half;
  __builtin_memcpy(&half, &v, sizeof half);
  return half;
}
template <typename Half, typename Whole>
static inline Half high_half(Whole v) {
  Half half;
  __builtin_memcpy(&half, reinterpret_cast<const char*>(&v) + sizeof half, sizeof half);
  return half;
}
template <typename Whole, typename Half>
static inline Whole join(Half low, Half high) {
  Whole v;
  __builtin_memcpy(&v, &low, sizeof low);
  __builtin_memcpy(reinterpret_cast<char*>(&v) + sizeof low, &high, sizeof high);
  return v;
}

static inline F32 broadcast(float x) { return F32{} + x; }
static inline F32 max(F32 a, F32 b) { return a > b ? a : b; }
static inline F32 min(F32 a, F32 b) { return a < b ? a : b; }

}  // namespace etseg::ETSEG_ISA_NAMESPACE
