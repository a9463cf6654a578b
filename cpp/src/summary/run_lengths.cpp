// COCO's run-length encoding. It goes down the columns, and maps lie in rows: so of some columns at
// a time those places are gathered where a row differs from the one above, and then read downwards.
#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "etseg/summary.h"
#include "summary/changes.h"
#include "summary/edges.h"

namespace etseg {
namespace {

constexpr std::int64_t kColumns = 128;  // two lines of a cache of a row of bytes
// Rows of a few columns lie where no CPU expects them: asked for so many rows ahead. Of maps larger
// than the caches that is several times as fast.
constexpr std::size_t kRowsAhead = 16;

// The runs of one label's mask, compressed: each a number, from the fourth on less the one two
// before it, in groups of five bits, the lowest first, each one character: 48 + bits, + 32 if more
// follow. The highest bit of the last group is the sign.
class Runs {
 public:
  // Ones from `begin` to `end`, beyond those before, and not touching them.
  void add_ones(std::int64_t begin, std::int64_t end) {
    add(begin - end_);
    add(end - begin);
    end_ = end;
  }

  std::string take(std::int64_t total) {
    if (end_ < total) add(total - end_);
    return std::move(text_);
  }

 private:
  void add(std::int64_t run) {
    std::int64_t& before = before_[count_ & 1];
    std::int64_t rest = count_ > 2 ? run - before : run;
    before = run;
    ++count_;
    for (bool more = true; more;) {
      const auto group = static_cast<int>(rest & 31);
      rest >>= 5;
      more = rest != ((group & 16) != 0 ? -1 : 0);
      text_ += static_cast<char>(48 + group + (more ? 32 : 0));
    }
  }

  std::string text_;
  std::int64_t before_[2] = {0, 0};
  std::size_t count_ = 0;
  std::int64_t end_ = 0;  // of the last ones
};

// Puts runs of labels together that come one after the other, and hands them to their masks.
class Masks {
 public:
  explicit Masks(std::span<const std::int64_t> labels) : runs_(labels.size()) {
    std::int64_t highest = -1;
    for (const std::int64_t label : labels) highest = std::max(highest, label);
    mask_of_.resize(static_cast<std::size_t>(highest + 1), kNone);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      mask_of_[static_cast<std::size_t>(labels[i])] = static_cast<std::int32_t>(i);
    }
  }

  // From `position` on there is this label.
  void change(std::int32_t label, std::int64_t position) {
    const auto index = static_cast<std::size_t>(label);  // of a negative one beyond all
    const std::int32_t mask = index < mask_of_.size() ? mask_of_[index] : kNone;
    if (mask == mask_) return;
    if (mask_ != kNone) runs_[static_cast<std::size_t>(mask_)].add_ones(begin_, position);
    mask_ = mask;
    begin_ = position;
  }

  void take(std::int64_t total, std::vector<std::string>& counts) {
    if (mask_ != kNone) runs_[static_cast<std::size_t>(mask_)].add_ones(begin_, total);
    counts.clear();
    for (Runs& runs : runs_) counts.push_back(runs.take(total));
  }

 private:
  static constexpr std::int32_t kNone = -1;
  std::vector<Runs> runs_;
  std::vector<std::int32_t> mask_of_;  // by label
  std::int32_t mask_ = kNone;          // that ones are added to, since `begin_`
  std::int64_t begin_ = 0;
};

// From this row of the map on a column has this label.
struct Change {
  std::int32_t row;
  std::int32_t label;
};

// The changes of some columns; the first of all of them lie together, then the second, ... As there
// are few, few cache lines are touched.
class Changes {
 public:
  Changes(std::int64_t height, std::int64_t width)
      : width_(width), all_(new Change[static_cast<std::size_t>(height * width)]) {}

  void clear() { std::fill_n(counts_, kColumns, 0); }
  void add(std::int64_t column, Change change) {
    all_[static_cast<std::size_t>(counts_[column]++ * width_ + column)] = change;
  }
  std::int64_t count(std::int64_t column) const { return counts_[column]; }
  Change at(std::int64_t column, std::int64_t i) const {
    return all_[static_cast<std::size_t>(i * width_ + column)];
  }

 private:
  const std::int64_t width_;
  const std::unique_ptr<Change[]> all_;
  std::int64_t counts_[kColumns] = {};
};

template <typename T>
void fetch(const T* row, std::int64_t width) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t x = 0; x < width; x += kLine) __builtin_prefetch(row + x);
}

// Of columns [first, first + width) of the map.
template <typename T>
void gather(const LabelMapView& map, std::int64_t first, std::int64_t width,
            const std::vector<std::int64_t>& rows, Changes& changes) {
  changes.clear();
  const T* above = nullptr;
  const T* row = static_cast<const T*>(map.data) + first;
  for (std::size_t y = 0; y + 1 < rows.size(); ++y, row += map.width) {
    if (y + kRowsAhead + 1 < rows.size()) {
      fetch(row + static_cast<std::int64_t>(kRowsAhead) * map.width, width);
    }
    if (rows[y] == rows[y + 1]) continue;  // no row of the image
    const auto add = [&](std::int64_t x) {
      changes.add(x, {static_cast<std::int32_t>(y), static_cast<std::int32_t>(row[x])});
    };
    if (above == nullptr) {
      for (std::int64_t x = 0; x < width; ++x) add(x);
    } else {
      for_each_change(above, row, width, add);
    }
    above = row;
  }
}

void encode(const LabelMapView& map, const std::vector<std::int64_t>& rows,
            const std::vector<std::int64_t>& columns, Masks& masks) {
  const auto gather_columns =
      map.type == LabelMapView::Type::kUint8 ? gather<std::uint8_t> : gather<std::int32_t>;
  Changes changes(map.height, std::min(map.width, kColumns));
  for (std::int64_t first = 0; first < map.width; first += kColumns) {
    const std::int64_t width = std::min(map.width - first, kColumns);
    gather_columns(map, first, width, rows, changes);
    for (std::int64_t x = 0; x < width; ++x) {
      const auto column = static_cast<std::size_t>(first + x);
      for (std::int64_t turn = columns[column]; turn < columns[column + 1]; ++turn) {
        for (std::int64_t i = 0; i < changes.count(x); ++i) {
          const Change change = changes.at(x, i);
          masks.change(change.label,
                       turn * rows.back() + rows[static_cast<std::size_t>(change.row)]);
        }
      }
    }
  }
}

}  // namespace

Status encode_runs(const LabelMapView& map, ImageSize image, std::span<const std::int64_t> labels,
                   std::vector<std::string>& counts) {
  try {
    const std::vector<std::int64_t> rows = edges_in_image(map.height, image.height);
    const std::vector<std::int64_t> columns = edges_in_image(map.width, image.width);
    Masks masks(labels);
    encode(map, rows, columns, masks);
    masks.take(image.height * image.width, counts);
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "no memory to encode masks"};
  }
  return {};
}

}  // namespace etseg
