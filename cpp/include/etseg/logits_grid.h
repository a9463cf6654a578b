// Where a program's logits lie in the image, an axis at a time. With n logits and T pixels:
//
//   half-pixel     pixel i lies at logit  (i + 1/2) n / T - 1/2
//   align-corners  pixel i lies at  j = (i + 1/2) N / T - 1/2  of the N values of the head's own
//                  output, and value j at logit  j (n - 1) / (N - 1)
//
// clamped to the first and the last logit, as torch's two grids are. The second is for programs
// whose head would have enlarged its logits to N values with align_corners=True, and was cut off.
#pragma once

#include <cstdint>

namespace etseg {

enum class LogitsGridKind { kHalfPixel, kAlignCorners };

struct LogitsGrid {
  LogitsGridKind kind = LogitsGridKind::kHalfPixel;
  std::int64_t head_height = 0;  // of the head's own output, >= 1; kAlignCorners only
  std::int64_t head_width = 0;
};

}  // namespace etseg
