// Where the filters of one axis lie. Everything is counted in exact integers: in units of
// 1 / (2 * target) of a source pixel, the centre of output i is (2i + 1) * source, and that of
// source pixel j is (2j + 1) * target. So neither the sizes nor the position cost precision.
#pragma once

#include <cstdint>
#include <vector>

namespace etseg {

// Output i is source[first[i]] * (1 - weight[i]) + source[second[i]] * weight[i].
struct TwoTapAxis {
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> second;
  std::vector<float> weight;

  void assign(std::int64_t source, std::int64_t target);
};

// The triangle filter of an axis that shrinks (or keeps its size), seen from the source: segment k
// is the source pixels from the centre of output k - 1 up to that of output k. In it the weight for
// output k grows linearly, t = t_first + slope * (j - begin), and that for output k - 1 is 1 - t:
// every source pixel is read once. Segment 0 has no output before it, segment `target` none after.
struct TriangleAxis {
  std::vector<std::int32_t> begin;  // of each of the target + 1 segments, and the end of the last
  std::vector<double> t_first;      // of each segment
  double slope = 0.0;               // target / source
  std::vector<float> t;             // of each source pixel
  std::vector<float> norm;          // of each output: 1 / the sum of its weights inside the image

  void assign(std::int64_t source, std::int64_t target);
};

}  // namespace etseg
