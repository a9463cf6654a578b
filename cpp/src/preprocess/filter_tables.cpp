#include "preprocess/filter_tables.h"

#include <algorithm>

namespace etseg {

void TwoTapAxis::assign(std::int64_t source, std::int64_t target) {
  const auto size = static_cast<std::size_t>(target);
  first.resize(size);
  second.resize(size);
  weight.resize(size);
  for (std::int64_t i = 0; i < target; ++i) {
    const std::int64_t position = std::max<std::int64_t>(0, (2 * i + 1) * source - target);
    const std::int64_t cell = std::min(position / (2 * target), source - 1);
    const bool last = cell == source - 1;  // clamped to the image
    const auto at = static_cast<std::size_t>(i);
    first[at] = static_cast<std::int32_t>(cell);
    second[at] = static_cast<std::int32_t>(last ? cell : cell + 1);
    weight[at] = last ? 0.0f
                      : static_cast<float>(static_cast<double>(position - cell * 2 * target) /
                                           static_cast<double>(2 * target));
  }
}

void TriangleAxis::assign(std::int64_t source, std::int64_t target) {
  const auto outputs = static_cast<std::size_t>(target);
  begin.resize(outputs + 2);
  t_first.resize(outputs + 1);
  t.resize(static_cast<std::size_t>(source));
  norm.resize(outputs);
  slope = static_cast<double>(target) / static_cast<double>(source);

  begin.front() = 0;
  for (std::int64_t k = 1; k <= target; ++k) {
    // The first pixel whose centre is not before that of output k - 1.
    const std::int64_t centre = (2 * k - 1) * source - target;
    begin[static_cast<std::size_t>(k)] =
        static_cast<std::int32_t>((centre + 2 * target - 1) / (2 * target));
  }
  begin.back() = static_cast<std::int32_t>(source);

  std::vector<double> sum(outputs + 1, 0.0);  // of output k - 1, at k
  double next = 0.0;                          // what the segment before gives to output k - 1
  for (std::size_t k = 0; k <= outputs; ++k) {
    sum[k] = next;
    next = 0.0;
    const std::int64_t centre = (2 * static_cast<std::int64_t>(k) - 1) * source;
    t_first[k] = static_cast<double>((2 * std::int64_t{begin[k]} + 1) * target - centre) /
                 static_cast<double>(2 * source);
    for (std::int64_t j = begin[k]; j < begin[k + 1]; ++j) {
      const double weight =
          static_cast<double>((2 * j + 1) * target - centre) / static_cast<double>(2 * source);
      t[static_cast<std::size_t>(j)] = static_cast<float>(weight);
      sum[k] += 1.0 - weight;
      next += weight;
    }
    if (k > 0) norm[k - 1] = static_cast<float>(1.0 / sum[k]);
  }
}

}  // namespace etseg
