// The estimation itself, from the level of a single pixel down to the image's own.
#pragma once

#include <cstdint>
#include <vector>

#include "cutout/pyramid.h"
#include "etseg/cutout.h"

namespace etseg {

struct Mixture {
  const ImageView& image;
  const std::uint8_t* opacity;
};

// Writes the foreground's colour where the opacity is neither 0 nor 255. May throw std::bad_alloc.
void estimate_foreground(const Mixture& mixture, std::vector<CutoutLevel>& levels, Isa isa,
                         const CutoutTarget& target, const Executor& executor);

}  // namespace etseg
