// e^x on vectors. Relative error below 1.5e-7 (tests/cpp/test_postprocess_rules.cpp measures it);
// exp(0) is exactly 1 and nothing below 0 gives more than 1.
#pragma once

#include "kernels/simd.h"

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
static inline F32 exp_in_range(F32 x) {
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum.
  const F32 shifted = x * 1.44269504F + 12582912.0F;
  const F32 n = shifted - 12582912.0F;
  const F32 r = (x - n * 0.693145752F) - n * 1.42860677e-6F;  // ln 2 in two parts
  F32 q = r * 0.00138145406F + 0.00836874545F;
  q = q * r + 0.041668389F;
  q = q * r + 0.166665211F;
  q = q * r + 0.49999994F;
  const F32 e = (q * r) * r + r + 1.0F;
  return (F32)((I32)e + ((I32)shifted << 23));
}

// For every x that is not NaN; zero where the result would be below the normal numbers.
static inline F32 exp(F32 x) {
  const F32 e = exp_in_range(at_most(kExpMax, at_least(kExpMin, x)));
  return x < kExpMin ? F32{} : e;
}

static inline F32 sigmoid(F32 x) { return 1.0F / (1.0F + exp(-x)); }

}  // namespace etseg::ETSEG_ISA_NAMESPACE
