// Transposition of a square of kLanes x kLanes floats held in kLanes vectors, and of one half as
// wide.
#pragma once

#include "kernels/common/simd.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Interleaves of single and of paired elements inside each 128 bits: one instruction everywhere.
#if defined(__AVX512F__)
static inline F32 zip_low(F32 a, F32 b) {
  return shuffle<0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29>(a, b);
}
static inline F32 zip_high(F32 a, F32 b) {
  return shuffle<2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31>(a, b);
}
static inline F32 zip_pairs_low(F32 a, F32 b) {
  return shuffle<0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29>(a, b);
}
static inline F32 zip_pairs_high(F32 a, F32 b) {
  return shuffle<2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31>(a, b);
}
// 128-bit quarters 0 and 2, or 1 and 3, of both.
static inline F32 even_quarters(F32 a, F32 b) {
  return shuffle<0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27>(a, b);
}
static inline F32 odd_quarters(F32 a, F32 b) {
  return shuffle<4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31>(a, b);
}
#elif defined(__AVX2__)
static inline F32 zip_low(F32 a, F32 b) { return shuffle<0, 8, 1, 9, 4, 12, 5, 13>(a, b); }
static inline F32 zip_high(F32 a, F32 b) { return shuffle<2, 10, 3, 11, 6, 14, 7, 15>(a, b); }
static inline F32 zip_pairs_low(F32 a, F32 b) { return shuffle<0, 1, 8, 9, 4, 5, 12, 13>(a, b); }
static inline F32 zip_pairs_high(F32 a, F32 b) { return shuffle<2, 3, 10, 11, 6, 7, 14, 15>(a, b); }
#else
static inline F32 zip_low(F32 a, F32 b) { return shuffle<0, 4, 1, 5>(a, b); }
static inline F32 zip_high(F32 a, F32 b) { return shuffle<2, 6, 3, 7>(a, b); }
static inline F32 zip_pairs_low(F32 a, F32 b) { return shuffle<0, 1, 4, 5>(a, b); }
static inline F32 zip_pairs_high(F32 a, F32 b) { return shuffle<2, 3, 6, 7>(a, b); }
#endif

// Squares of 4 x 4, each in its 128 bits: lane 4q + i of w[4p + j] is m[4p + i][4q + j].
template <int kVectors>
static inline void transpose_quarters(const F32 (&m)[kVectors], F32 (&w)[kVectors]) {
#pragma GCC unroll 4
  for (int p = 0; p < kVectors; p += 4) {
    const F32 a = zip_low(m[p], m[p + 1]);
    const F32 b = zip_high(m[p], m[p + 1]);
    const F32 c = zip_low(m[p + 2], m[p + 3]);
    const F32 d = zip_high(m[p + 2], m[p + 3]);
    w[p] = zip_pairs_low(a, c);
    w[p + 1] = zip_pairs_high(a, c);
    w[p + 2] = zip_pairs_low(b, d);
    w[p + 3] = zip_pairs_high(b, d);
  }
}

// m[i][j] becomes m[j][i].
static inline void transpose(F32 (&m)[kLanes]) {
  F32 w[kLanes];
  transpose_quarters(m, w);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
#if defined(__AVX512F__)
    const F32 even_low = even_quarters(w[j], w[4 + j]);
    const F32 odd_low = odd_quarters(w[j], w[4 + j]);
    const F32 even_high = even_quarters(w[8 + j], w[12 + j]);
    const F32 odd_high = odd_quarters(w[8 + j], w[12 + j]);
    m[j] = even_quarters(even_low, even_high);
    m[4 + j] = even_quarters(odd_low, odd_high);
    m[8 + j] = odd_quarters(even_low, even_high);
    m[12 + j] = odd_quarters(odd_low, odd_high);
#elif defined(__AVX2__)
    m[j] = shuffle<0, 1, 2, 3, 8, 9, 10, 11>(w[j], w[4 + j]);
    m[4 + j] = shuffle<4, 5, 6, 7, 12, 13, 14, 15>(w[j], w[4 + j]);
#else
    m[j] = w[j];
#endif
  }
}

// Rows of a square half as wide: two rows fit a vector.
inline constexpr int kNarrow = kLanes > 4 ? kLanes / 2 : kLanes;

// Row i begins at from + i * pitch and has kNarrow elements; element j of it becomes m[j][i].
static inline void load_transposed(const float* from, std::int64_t pitch, F32 (&m)[kNarrow]) {
#if defined(__AVX2__)
  using Half = float __attribute__((vector_size(4 * kNarrow)));
  F32 rows[kNarrow];
#pragma GCC unroll 8
  for (int i = 0; i < kNarrow; ++i) {
    const int first = i / 4 * 8 + i % 4;
    const Half a = load<Half>(from + first * pitch);
    const Half b = load<Half>(from + (first + 4) * pitch);
    rows[i] = join<F32>(a, b);
  }
#if defined(__AVX512F__)
  F32 w[kNarrow];
  transpose_quarters(rows, w);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    m[j] = even_quarters(w[j], w[4 + j]);
    m[4 + j] = odd_quarters(w[j], w[4 + j]);
  }
#else
  transpose_quarters(rows, m);
#endif
#else
#pragma GCC unroll 4
  for (int i = 0; i < kNarrow; ++i) m[i] = load<F32>(from + i * pitch);
  transpose(m);
#endif
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
