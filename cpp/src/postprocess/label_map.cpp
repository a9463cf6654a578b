#include "etseg/label_map.h"

#include <cstring>
#include <new>
#include <string>

namespace etseg {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;  // (2 * x + 1) * size fits 64 bits
constexpr std::int64_t kRowsPerTask = 16;

std::int64_t nearest(std::int64_t x, std::int64_t source, std::int64_t target) {
  return (2 * x + 1) * source / (2 * target);
}

bool is_size(std::int64_t size) { return size >= 1 && size <= kMaxSize; }

Status check(const LabelMapView& map, std::int64_t labels, const PostprocessTarget& target) {
  if (!target.planes.empty()) {
    return {Code::kInvalidUserInput,
            "the program returns labels and no probabilities; ask for no classes"};
  }
  if (!is_size(map.height) || !is_size(map.width) || !is_size(target.height) ||
      !is_size(target.width)) {
    return {Code::kInvalidUserInput, "the result's size is " + std::to_string(target.height) + "x" +
                                         std::to_string(target.width) +
                                         "; both must be between 1 and 2^30"};
  }
  if (target.argmax_type == LabelType::kUint8 && labels > 256) {
    return {Code::kInvalidUserInput,
            std::to_string(labels) + " labels do not fit a uint8 ARGMAX (256 at most); use int32"};
  }
  return {};
}

// The map as int32; the index of the first pixel that is none of the labels, or -1.
template <typename T>
std::int64_t read(const void* from, std::int64_t labels, std::vector<std::int32_t>& to) {
  const T* const map = static_cast<const T*>(from);
  bool all = true;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::int64_t label = map[i];
    all = all && label >= 0 && label < labels;
    to[i] = static_cast<std::int32_t>(label);
  }
  if (all) return -1;
  std::size_t i = 0;
  while (map[i] >= T{0} && static_cast<std::int64_t>(map[i]) < labels) ++i;
  return static_cast<std::int64_t>(i);
}

std::int64_t read(const LabelMapView& map, std::int64_t labels, std::vector<std::int32_t>& to) {
  switch (map.type) {
    case LabelMapView::Type::kUint8:
      return read<std::uint8_t>(map.data, labels, to);
    case LabelMapView::Type::kInt32:
      return read<std::int32_t>(map.data, labels, to);
    case LabelMapView::Type::kInt64:
      break;
  }
  return read<std::int64_t>(map.data, labels, to);
}

std::int64_t value_at(const LabelMapView& map, std::int64_t i) {
  switch (map.type) {
    case LabelMapView::Type::kUint8:
      return static_cast<const std::uint8_t*>(map.data)[i];
    case LabelMapView::Type::kInt32:
      return static_cast<const std::int32_t*>(map.data)[i];
    case LabelMapView::Type::kInt64:
      break;
  }
  return static_cast<const std::int64_t*>(map.data)[i];
}

// Rows [begin, end) of the target. Rows that take the same row of the map are copies of the first.
template <typename T>
void write_rows(const std::int32_t* labels, const LabelMapView& map,
                const PostprocessTarget& target, const std::int64_t* columns, std::int64_t begin,
                std::int64_t end) {
  std::int64_t last = -1;
  for (std::int64_t y = begin; y < end; ++y) {
    T* const to = static_cast<T*>(target.argmax) + y * target.width;
    const std::int64_t row = nearest(y, map.height, target.height);
    if (row == last) {
      std::memcpy(to, to - target.width, static_cast<std::size_t>(target.width) * sizeof(T));
      continue;
    }
    const std::int32_t* const from = labels + row * map.width;
    for (std::int64_t x = 0; x < target.width; ++x) to[x] = static_cast<T>(from[columns[x]]);
    last = row;
  }
}

}  // namespace

Status LabelMapper::run(const LabelMapView& map, std::int64_t labels,
                        const PostprocessTarget& target, const Executor& executor) {
  ETSEG_RETURN_IF_ERROR(check(map, labels, target));
  try {
    labels_.resize(static_cast<std::size_t>(map.height * map.width));
    columns_.resize(static_cast<std::size_t>(target.width));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "no memory for postprocessing; ask for a smaller size"};
  }
  if (const std::int64_t at = read(map, labels, labels_); at >= 0) {
    return {Code::kInvalidModelOutput,
            "the program returned the label " + std::to_string(value_at(map, at)) + " at row " +
                std::to_string(at / map.width) + ", column " + std::to_string(at % map.width) +
                " of its map, but the model has the labels 0 to " + std::to_string(labels - 1) +
                "; load it with the labels that it was trained with"};
  }
  for (std::int64_t x = 0; x < target.width; ++x) {
    columns_[static_cast<std::size_t>(x)] = nearest(x, map.width, target.width);
  }
  const auto write =
      target.argmax_type == LabelType::kUint8 ? write_rows<std::uint8_t> : write_rows<std::int32_t>;
  executor.run(0, target.height, kRowsPerTask, [&](std::int64_t begin, std::int64_t end) {
    write(labels_.data(), map, target, columns_.data(), begin, end);
  });
  return {};
}

}  // namespace etseg
