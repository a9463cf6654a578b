#include "kernels/common/simd.h"
#include "kernels/cutout/cutout_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

namespace {

// How much a neighbour of the same opacity counts, and more by the difference of opacity.
constexpr float kRegularization = 1e-5F;
constexpr float kByDifference = 0.1F;

inline F32 weight_of(F32 opacity, const float* neighbour) {
  const F32 difference = opacity - load<F32>(neighbour);
  return kByDifference * max(difference, -difference) + kRegularization;
}

}  // namespace

// A pixel's colours F and B minimise
//   (a F + (1 - a) B - I)^2 + sum over neighbours j of w_j ((F - F_j)^2 + (B - B_j)^2),
// a the opacity, I the image's colour. With W the sum of the weights, and f and b the neighbours'
// weighted means, that is
//   F = f + a r,  B = b + (1 - a) r,  r = (I - a f - (1 - a) b) / (a^2 + (1 - a)^2 + W).
void refine(CutoutTile& tile, int to, int first, int last) {
  static_assert((kSide - 2) % kLanes == 0);
  const auto& from = tile.colours[1 - to];
  constexpr int kAway[4] = {-kSide, -1, 1, kSide};
  for (int y = first; y < last; ++y) {
    for (int x = 1; x < kSide - 1; x += kLanes) {
      const int at = y * kSide + x;
      const F32 a = load<F32>(tile.opacity + at), rest = 1.0F - a;
      F32 weights[4];
      F32 sum = {};
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sum += weights[j] = weight_of(a, tile.opacity + at + kAway[j]);
      const F32 share = 1.0F / sum, scale = 1.0F / (a * a + rest * rest + sum);
#pragma GCC unroll 3
      for (int c = 0; c < 3; ++c) {
        F32 front = {}, behind = {};
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          front += weights[j] * load<F32>(from[c] + at + kAway[j]);
          behind += weights[j] * load<F32>(from[c + 3] + at + kAway[j]);
        }
        front *= share;
        behind *= share;
        const F32 off = (load<F32>(tile.image[c] + at) - a * front - rest * behind) * scale;
        const F32 black = {}, white = broadcast(255.0F);
        store(tile.colours[to][c] + at, min(max(front + a * off, black), white));
        store(tile.colours[to][c + 3] + at, min(max(behind + rest * off, black), white));
      }
    }
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
