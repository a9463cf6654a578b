// Where the pixels of a map lie in the image, along one axis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etseg {

// Of `length + 1` edges: pixel i of the map is pixels edges[i] to edges[i + 1] of the image, of
// `target`; none of them where the two are equal. Throws std::bad_alloc.
inline std::vector<std::int64_t> edges_in_image(std::int64_t length, std::int64_t target) {
  std::vector<std::int64_t> edges(static_cast<std::size_t>(length + 1));
  // The first x for which (2x + 1) * length / (2 * target) >= i. Divisions would be felt where
  // there are many pixels, which is where the two sizes are equal.
  for (std::int64_t i = 0; i <= length; ++i) {
    edges[static_cast<std::size_t>(i)] =
        length == target ? i : (2 * target * i + length - 1) / (2 * length);
  }
  return edges;
}

}  // namespace etseg
