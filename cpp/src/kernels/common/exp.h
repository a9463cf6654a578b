// e^x on vectors. Relative error below 1.5e-7 (tests/cpp/test_postprocess_rules.cpp measures it);
// exp(0) is exactly 1 and nothing below 0 gives more than 1.
#pragma once

#include "kernels/common/simd.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

inline constexpr float kExpMin = -87.0F;  // results stay normal numbers
inline constexpr float kExpMax = 88.0F;

// GCC sees a maximum in  a > b ? a : b  only where it does not see that one of them is constant.
static inline F32 opaque(float x) {
#if defined(__SSE2__)
  asm("" : "+x"(x));
#endif
  return broadcast(x);
}
static inline F32 at_least(float least, F32 x) { return max(x, opaque(least)); }
static inline F32 at_most(float most, F32 x) {
  const F32 bound = opaque(most);
  return x < bound ? x : bound;
}

// For x in [kExpMin, kExpMax] only. With x = n ln 2 + r: 2^n (1 + r + r^2 q(r)), where q is the
// minimax polynomial of degree 4 on |r| <= ln 2 / 2 (its own error, 3e-9, drowns in the rounding).
// Of several vectors step by step: each step waits for the one before, and a CPU does not look far
// enough ahead to find the next exponential's by itself.
template <int kVectors>
static inline void exp_in_range(F32 (&x)[kVectors]) {
  F32 shifted[kVectors], r[kVectors], q[kVectors];
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum.
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) shifted[v] = x[v] * 1.44269504F + 12582912.0F;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const F32 n = shifted[v] - 12582912.0F;
    r[v] = (x[v] - n * 0.693145752F) - n * 1.42860677e-6F;  // ln 2 in two parts
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) q[v] = r[v] * 0.00138145406F + 0.00836874545F;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) q[v] = q[v] * r[v] + 0.041668389F;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) q[v] = q[v] * r[v] + 0.166665211F;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) q[v] = q[v] * r[v] + 0.49999994F;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const F32 e = (q[v] * r[v]) * r[v] + r[v] + 1.0F;
    x[v] = (F32)((I32)e + ((I32)shifted[v] << 23));
  }
}
static inline F32 exp_in_range(F32 x) {
  F32 one[1] = {x};
  exp_in_range(one);
  return one[0];
}

// For |x| <= 0.125: the minimax polynomial of degree 4 with e^0 and its slope exact; relative error
// below 4e-8 before rounding.
static inline F32 exp_near_zero(F32 x) {
  const F32 q = (x * 0.0416997F + 0.16677987F) * x + 0.49999982F;
  return (q * x + 1.0F) * x + 1.0F;
}

// For every x that is not NaN; zero where the result would be below the normal numbers.
static inline F32 exp(F32 x) {
  const F32 e = exp_in_range(at_most(kExpMax, at_least(kExpMin, x)));
  return x < kExpMin ? F32{} : e;
}

static inline F32 sigmoid(F32 x) { return 1.0F / (1.0F + exp(-x)); }

}  // namespace etseg::ETSEG_ISA_NAMESPACE
