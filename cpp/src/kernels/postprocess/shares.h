// Scores, 0 or more, as shares of their sum (Activation::kNormalise). In docs/kernels.md: "Shares".
#pragma once

#include "kernels/postprocess/pixel_vectors.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Below it lies nothing to divide by: the least float32 that is as precise as others.
inline constexpr float kLeastMean = 1.17549435e-38F;  // 2^-126

static inline float equal_share(const ClassPlanes& scores) {
  return 1.0F / static_cast<float>(scores.channels);
}

// The mean over the classes, which cannot overflow, as the sum can. Bilinear weights go past a sum:
// the mean between pixels is that of the pixels' means.
template <int kVectors, typename Load>
static inline void mean_score(const ClassPlanes& scores, std::int64_t at, Load load_, F32* mean) {
  const float share = equal_share(scores);
  for (int v = 0; v < kVectors; ++v) mean[v] = F32{};
  const float* from = scores.data + at;
  for (std::int64_t c = 0; c < scores.channels; ++c, from += scores.plane_size) {
    for (int v = 0; v < kVectors; ++v) mean[v] += share * load_(from + v * kLanes);
  }
}

// What makes a share of a score; 0 where all are alike.
static inline F32 share_scale(F32 mean, float equal_share) {
  return mean >= kLeastMean ? equal_share / mean : F32{};
}

// Rounding may make a little more than all of it.
static inline F32 share_of(F32 score, F32 scale, float equal_share) {
  const F32 share = score * scale;
  return scale == 0.0F ? broadcast(equal_share) : share > 1.0F ? broadcast(1.0F) : share;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
