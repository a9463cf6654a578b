// Where the pixels of a target lie between the logits of its source: an affine map an axis, edges
// clamped, computed in integers so that a weight of exactly zero is known to be one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "etseg/logits_grid.h"
#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg {

// Pixel i of the target lies at logit  (i * scale + offset) / unit.
struct AxisMap {
  std::int64_t source;  // logits
  std::int64_t target;  // pixels
  std::int64_t scale;
  std::int64_t offset;
  std::int64_t unit;  // > 0
  bool operator==(const AxisMap&) const = default;

  // Does every pixel lie on the logit of its number?
  bool is_identity() const { return source == target && scale == unit && offset == 0; }
};

// `head` is the length of the head's own output on this axis (logits_grid.h). Nothing if the sizes
// are too large for it.
std::optional<AxisMap> axis_map(LogitsGridKind kind, std::int64_t head, std::int64_t source,
                                std::int64_t target);

struct UpsamplePlan {
  // See UpsampleArgs.
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<float> x_fraction;
  std::vector<float> y_fraction;
  std::vector<UpsampleBand> bands;  // every target row once, in order

  // Plans for both axes; nothing to do if they are the last call's. With `exact_rows`, rows that
  // lie on a source row are in bands of their own, so that a row without weight is no source. May
  // throw std::bad_alloc; then the next call plans anew.
  void prepare(const AxisMap& rows, const AxisMap& columns, bool exact_rows);

 private:
  AxisMap rows_ = {}, columns_ = {};  // of no pixels, until all is planned
  bool exact_rows_ = false;
};

}  // namespace etseg
