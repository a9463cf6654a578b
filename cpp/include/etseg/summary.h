// What a label map says of an image: of each label its pixels, its box, and its mask as COCO's
// tools write it. The map is read where it lies; nothing of its size is made.
//
// The image may have another size than its map: pixel x of `width` has the label of pixel
//
//   floor((x + 1/2) * map_width / width)
//
// of the map, in integers, and rows likewise. A label that no pixel of the image takes is not
// there.
//
// Time grows with the runs of equal labels, of which masks have few: a row of one label costs no
// more than its reading. Arrays that others write to meanwhile give wrong numbers, and do no harm.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "etseg/image.h"
#include "etseg/status.h"

namespace etseg {

// Of one label, in pixels of the image. Half-open; all 0 where the label is not there.
struct LabelExtent {
  std::int64_t pixels = 0;
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;
};

// The lowest and the highest value of a map that is no index; none where lowest > highest.
struct StrayLabels {
  std::int64_t lowest = INT64_MAX;
  std::int64_t highest = INT64_MIN;
};

struct ImageSize {
  std::int64_t height = 0;  // 1 .. 2^30
  std::int64_t width = 0;   // likewise
};

// Writes all of `extents`, one for each label, and `stray`. The map is kUint8 or kInt32, its sides
// at most 2^30. kOutOfMemory: then nothing that is written means anything.
Status measure_labels(const LabelMapView& map, ImageSize image, std::span<LabelExtent> extents,
                      StrayLabels& stray);

// Writes to `counts`, for each of `labels` (distinct, >= 0), the runs of its mask, column by
// column: zeros, ones, zeros, ..., compressed to ASCII as COCO's rleToString does it. The map as
// above; what it holds beside these labels is zeros. kOutOfMemory: then `counts` means nothing.
Status encode_runs(const LabelMapView& map, ImageSize image, std::span<const std::int64_t> labels,
                   std::vector<std::string>& counts);

}  // namespace etseg
