// Pixels and boxes, from the runs of equal labels along the rows.
#include <algorithm>
#include <new>

#include "etseg/summary.h"
#include "summary/changes.h"
#include "summary/edges.h"

namespace etseg {
namespace {

class Extents {
 public:
  Extents(std::span<LabelExtent> extents, StrayLabels& stray) : extents_(extents), stray_(stray) {
    std::fill(extents_.begin(), extents_.end(), LabelExtent{});
    stray_ = {};
  }

  // A run of a label, in pixels of the image.
  void add(std::int64_t label, std::int64_t left, std::int64_t right, std::int64_t top,
           std::int64_t bottom) {
    if (static_cast<std::uint64_t>(label) >= extents_.size()) {
      stray_.lowest = std::min(stray_.lowest, label);
      stray_.highest = std::max(stray_.highest, label);
      return;
    }
    if (left == right || top == bottom) return;
    LabelExtent& extent = extents_[static_cast<std::size_t>(label)];
    const bool is_first = extent.pixels == 0;
    extent.pixels += (right - left) * (bottom - top);
    extent.left = is_first ? left : std::min(extent.left, left);
    extent.right = std::max(extent.right, right);
    extent.top = is_first ? top : extent.top;
    extent.bottom = bottom;
  }

 private:
  const std::span<LabelExtent> extents_;
  StrayLabels& stray_;
};

template <typename T>
void measure(const LabelMapView& map, const std::vector<std::int64_t>& rows,
             const std::int64_t* columns, Extents extents) {
  const T* row = static_cast<const T*>(map.data);
  for (std::size_t y = 0; y + 1 < rows.size(); ++y, row += map.width) {
    std::int64_t begin = 0;
    const auto end_run = [&](std::int64_t end) {
      extents.add(row[begin], columns[begin], columns[end], rows[y], rows[y + 1]);
      begin = end;
    };
    for_each_change(row, row + 1, map.width - 1, [&](std::int64_t i) { end_run(i + 1); });
    end_run(map.width);
  }
}

}  // namespace

Status measure_labels(const LabelMapView& map, ImageSize image, std::span<LabelExtent> extents,
                      StrayLabels& stray) {
  try {
    const std::vector<std::int64_t> rows = edges_in_image(map.height, image.height);
    const std::vector<std::int64_t> columns = edges_in_image(map.width, image.width);
    const auto of_type =
        map.type == LabelMapView::Type::kUint8 ? measure<std::uint8_t> : measure<std::int32_t>;
    of_type(map, rows, columns.data(), Extents(extents, stray));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "no memory to measure labels"};
  }
  return {};
}

}  // namespace etseg
