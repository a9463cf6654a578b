// Stage 3 of programs that return labels: their map, at the size that was asked for.
//
// Labels cannot be interpolated: pixel x of `width` takes that of pixel
//
//   floor((x + 1/2) * map_width / width)
//
// of the map, in integers, and rows likewise: the pixel in which its centre lies. That is torch's
// "nearest-exact", OpenCV's INTER_NEAREST_EXACT and Pillow's NEAREST.
#pragma once

#include <cstdint>
#include <vector>

#include "etseg/image.h"
#include "etseg/parallel.h"
#include "etseg/postprocess.h"
#include "etseg/status.h"

namespace etseg {

// Keeps its scratch memory between calls. One call at a time; distinct objects are independent.
class LabelMapper {
 public:
  // Reads the map once, and writes every element of the target's ARGMAX.
  // kInvalidUserInput if the target has probability planes (there are none), a size is < 1, or
  // `labels` do not fit its type; kInvalidModelOutput if a pixel of the map is not in [0, labels);
  // kOutOfMemory. On an error nothing has been written.
  Status run(const LabelMapView& map, std::int64_t labels, const PostprocessTarget& target,
             const Executor& executor);

 private:
  std::vector<std::int32_t> labels_;   // of the map
  std::vector<std::int64_t> columns_;  // of each column of the target: the map's
};

}  // namespace etseg
