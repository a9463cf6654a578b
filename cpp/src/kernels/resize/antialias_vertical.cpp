// The vertical half of antialias_kernels.h.
#include "kernels/common/simd.h"
#include "kernels/resize/antialias_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

using U16 = std::uint16_t __attribute__((vector_size(4 * kLanes)));
inline constexpr int kGroupBytes = 4 * kLanes;  // bytes of one vector

inline F32 to_float(U32 x) { return __builtin_convertvector((I32)x, F32); }

// One group of columns. Two running sums hold all the segment needs: with S = sum of x_j and
// R = sum of the partial sums = sum of (n - j) * x_j,
//   sum of t_j * x_j = (t_first + n * slope) * S - slope * R.
inline void add_group(const SegmentRows& rows, const std::uint8_t* source,
                      std::ptrdiff_t row_stride, std::int64_t at) {
  const std::uint8_t* ahead = rows.ahead + at;
  U16 even_sum = {}, odd_sum = {}, even_running = {}, odd_running = {};
  for (int j = 0; j < rows.count; ++j) {
    const U16 x = load<U16>(source);
    // The CPU's own prefetcher is of no use: it would have to follow a dozen short runs.
    __builtin_prefetch(ahead);
    ahead += row_stride;
    source += row_stride;
    even_sum += x & 0xff;
    odd_sum += x >> 8;
    even_running += even_sum;
    odd_running += odd_sum;
  }
  const float t_end = rows.t_first + static_cast<float>(rows.count) * rows.slope;
  const U32 sums[4] = {(U32)even_sum & 0xffff, (U32)odd_sum & 0xffff, (U32)even_sum >> 16,
                       (U32)odd_sum >> 16};
  const U32 running[4] = {(U32)even_running & 0xffff, (U32)odd_running & 0xffff,
                          (U32)even_running >> 16, (U32)odd_running >> 16};
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const F32 sum = to_float(sums[v]);
    const F32 weighted = t_end * sum - rows.slope * to_float(running[v]);
    const std::int64_t i = at + v * kLanes;
    store(rows.current_out + i, load<F32>(rows.current_in + i) + (sum - weighted));
    store(rows.next + i, rows.add_to_next ? load<F32>(rows.next + i) + weighted : weighted);
  }
}

}  // namespace

void add_segment(const SegmentRows& rows) {
  std::int64_t at = 0;
  for (; at + kGroupBytes <= rows.bytes; at += kGroupBytes) {
    add_group(rows, rows.source + at, rows.row_stride, at);
  }
  if (at == rows.bytes) return;
  std::uint8_t tail[kMaxSegmentRows * kGroupBytes] = {};
  for (int j = 0; j < rows.count; ++j) {
    __builtin_memcpy(tail + j * kGroupBytes, rows.source + j * rows.row_stride + at,
                     static_cast<std::size_t>(rows.bytes - at));
  }
  add_group(rows, tail, kGroupBytes, at);
}

namespace {

inline void blend_group(U32 first, U32 second, float weight, float* out) {
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const F32 a = to_float((first >> (8 * v)) & 0xff);
    const F32 b = to_float((second >> (8 * v)) & 0xff);
    store(out + v * kLanes, a + (b - a) * weight);
  }
}

}  // namespace

void blend_rows(const std::uint8_t* first, const std::uint8_t* second, float weight,
                std::int64_t bytes, float* out) {
  std::int64_t at = 0;
  for (; at + kGroupBytes <= bytes; at += kGroupBytes) {
    blend_group(load<U32>(first + at), load<U32>(second + at), weight, out + at);
  }
  if (at == bytes) return;
  std::uint8_t tail[2][kGroupBytes] = {};
  __builtin_memcpy(tail[0], first + at, static_cast<std::size_t>(bytes - at));
  __builtin_memcpy(tail[1], second + at, static_cast<std::size_t>(bytes - at));
  blend_group(load<U32>(tail[0]), load<U32>(tail[1]), weight, out + at);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
