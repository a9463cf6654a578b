// What is cut out of an image, by the opacity of each pixel, and put on another background.
//
// Where a pixel is part foreground, part background, its colour is a mixture of both, and on
// another background the old one shows as a halo. So the foreground's own colour is estimated
// there, by the multi-level method of Germer, Uelwer, Conrad and Harmeling (2020, arXiv
// 2006.14970).
#pragma once

#include <cstdint>

#include "etseg/image.h"
#include "etseg/isa.h"
#include "etseg/parallel.h"
#include "etseg/status.h"

namespace etseg {

struct CutoutTarget {
  std::uint8_t* data = nullptr;  // height * width * channels of the image's size, rows contiguous
  int channels = 4;              // 3: red, green, blue; 4: and the opacity
};

// Writes the image to `target`, whose memory overlaps nothing else. With `estimate`, the colours of
// pixels whose opacity is neither 0 nor 255 are the foreground's; all others are the image's.
//
// `opacity` has a byte for each pixel of the image, rows contiguous. `isa` is out of
// supported_isas(). The result does not depend on the executor. kOutOfMemory: then only `target`
// has been written to.
Status cut_out(const ImageView& image, const std::uint8_t* opacity, bool estimate, Isa isa,
               const CutoutTarget& target, const Executor& executor);

// Each pixel of `picture` (rows of 3 bytes a pixel, contiguous) becomes
//   (opacity * picture + (255 - opacity) * background) / 255, rounded.
// The background has the picture's size; strides of 0 make a colour of it.
void blend(std::uint8_t* picture, const std::uint8_t* opacity, const ImageView& background,
           const Executor& executor);

}  // namespace etseg
