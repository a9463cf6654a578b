// Rows of a resized image, from the planar floats that kernels write to what the program takes.
#pragma once

#include <cstdint>

#include "preprocess/resampler.h"

namespace etseg {

// Rows y and on of the target, which is not planar floats. Row r of channel c begins at
// from + c * plane_pitch + r * width, normalised as `target` says. Bytes are rounded as
// preprocess.h says.
void store_rows(const float* from, std::int64_t plane_pitch, std::int64_t rows,
                const ResampleTarget& target, std::int64_t y);

}  // namespace etseg
