// The kernel of the foreground's estimation, on a tile that lies planar in float.
#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

namespace etseg {

// Twice over a tile, each time one pixel less of its margin is right: a square of kSide has kTile
// good ones in the end, from kMargin on. The pixels between are whole vectors of any set.
inline constexpr int kIterations = 2;
inline constexpr int kMargin = kIterations;
inline constexpr int kTile = 30;
inline constexpr int kSide = kTile + 2 * kMargin;
inline constexpr int kPlane = kSide * kSide;

// Planes of kPlane floats each. Colours are in 0 .. 255.
struct CutoutTile {
  float opacity[kPlane];        // 0 .. 1
  float image[3][kPlane];       // red, green, blue
  float colours[2][6][kPlane];  // of the foreground, then of the background: before and after
};

struct CutoutKernels {
  // Colours `to` of rows [first, last), of all columns but the outermost, from colours 1 - `to`.
  void (*refine)(CutoutTile& tile, int to, int first, int last);
};

namespace ETSEG_ISA_NAMESPACE {

void refine(CutoutTile& tile, int to, int first, int last);

}  // namespace ETSEG_ISA_NAMESPACE
}  // namespace etseg
