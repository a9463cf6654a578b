// numpy arrays as the memory that the core reads and writes.
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "etseg/image.h"
#include "etseg/segmenter.h"

namespace etseg::bindings {

// "(3, 4) float32"
std::string shape_text(const pybind11::array& array);

// The pixels where they are: uint8, (H, W, 3), (H, W, 4) or (H, W), any strides. Raises
// InvalidUserInputError for anything else, as map_memory() does.
ImageView image_view(const pybind11::array& image, bool bgr);

// The memory of a result array that is to be written whole.
void* map_memory(pybind11::array& map, pybind11::ssize_t height, pybind11::ssize_t width,
                 const char* name);

// New arrays for a result, from memory that the segmenter keeps: one for ARGMAX of the type
// `argmax`, then as many for probabilities. Raises OutOfMemoryError.
pybind11::list empty_maps(Segmenter& segmenter, pybind11::ssize_t height, pybind11::ssize_t width,
                          const pybind11::dtype& argmax, int probabilities);

}  // namespace etseg::bindings
