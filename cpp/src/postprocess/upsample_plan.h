// Where the pixels of a target lie between the pixels of its source: half-pixel centres, edges
// clamped, computed in integers so that a weight of exactly zero is known to be one.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg {

struct UpsamplePlan {
  // See UpsampleArgs.
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<float> x_fraction;
  std::vector<float> y_fraction;
  std::vector<UpsampleBand> bands;  // every target row once, in order

  // Plans for a source and a target size; nothing to do if they are the last call's. With
  // `exact_rows`, rows that lie on a source row are in bands of their own, so that a row without
  // weight is no source. May throw std::bad_alloc; then the next call plans anew.
  void prepare(std::int64_t height, std::int64_t width, std::int64_t target_height,
               std::int64_t target_width, bool exact_rows);

 private:
  std::int64_t height_ = 0, width_ = 0, target_height_ = 0, target_width_ = 0;
  bool exact_rows_ = false;
};

}  // namespace etseg
