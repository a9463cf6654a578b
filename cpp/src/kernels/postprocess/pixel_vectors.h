// Helpers shared by the postprocessing kernels: partial vectors, label stores, one-channel rules.
#pragma once

#include "kernels/common/exp.h"
#include "kernels/common/simd.h"
#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

inline constexpr float kInfinity = __builtin_inff();
inline constexpr float kNaN = __builtin_nanf("");

// The bits that are set in any lane.
static inline std::uint32_t any_bits(I32 v) {
  using Half [[maybe_unused]] = std::int32_t __attribute__((vector_size(32)));
  using Quarter = std::int32_t __attribute__((vector_size(16)));
#if defined(__AVX512F__)
  const Half half = low_half<Half>(v) | high_half<Half>(v);
#else
  const I32 half = v;
#endif
#if defined(__AVX2__)
  const Quarter quarter = low_half<Quarter>(half) | high_half<Quarter>(half);
#else
  const Quarter quarter = half;
#endif
  using I64 = long long __attribute__((vector_size(16)));
  const I64 pair = (I64)quarter;
  const auto both = static_cast<std::uint64_t>(pair[0] | pair[1]);
  return static_cast<std::uint32_t>(both | both >> 32);
}
// Whether a lane of a comparison's result is set.
static inline bool any(I32 mask) { return any_bits(mask) != 0; }

static inline I32 broadcast_int(std::int32_t x) { return I32{} + x; }

// The first n lanes; the others are zero.
static inline F32 load_part(const float* from, std::int64_t n) {
  float lanes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = from[i];
  return load<F32>(lanes);
}

template <typename V, typename T>
static inline void store_part(T* to, V v, std::int64_t n) {
  if (n >= kLanes) {
    store(to, v);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) to[i] = v[i];
}

static inline void store_labels(const MapsOut& out, std::int64_t at, I32 labels, std::int64_t n) {
  if (out.labels_are_uint8) {
    store_part(static_cast<std::uint8_t*>(out.labels) + at, __builtin_convertvector(labels, U8), n);
  } else {
    store_part(static_cast<std::int32_t*>(out.labels) + at, labels, n);
  }
}

// The probability of a logit by itself; of the one channel, that of label 0. Labels and maps both
// come from this one function, so that ARGMAX is what the map says.
static inline F32 own_probability(Activation activation, F32 v) {
  switch (activation) {
    case Activation::kSigmoid:
      return sigmoid(v);
    case Activation::kSoftmax:
    case Activation::kNormalise:
      return broadcast(1.0F);
    case Activation::kNone:
      break;
  }
  return v;
}
static inline I32 one_channel_label(F32 probability) { return (probability < 0.5F) & 1; }

}  // namespace etseg::ETSEG_ISA_NAMESPACE
