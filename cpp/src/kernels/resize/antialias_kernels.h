// Kernels of the triangle filter. A block of `lanes` output rows is first gathered vertically, one
// float row each, then transposed tile by tile, so that the horizontal pass works on all rows of
// the block at once, one lane a row, whatever the scale and the layout.
//
// A float row keeps the bytes of the source row as its elements, in groups of 4 * lanes: element
// 4 * l + v of a group lies at lanes * v + l. That is how shifts and masks split vectors of bytes,
// and the transposition undoes it at no cost.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/isa.h"

namespace etseg {

// The sums of a segment are exact in 16 bits up to here: 255 * 22 * 23 / 2 < 2^16.
inline constexpr int kMaxSegmentRows = 22;

// `count` source rows of one segment (filter_tables.h):
//   current_out = current_in + sum of (1 - t) * row      next = (or +=) sum of t * row
// over the `bytes` first bytes of each row, and up to whole groups with meaningless elements. Only
// those bytes are read. current_in may be current_out.
struct SegmentRows {
  const std::uint8_t* source;
  std::ptrdiff_t row_stride;
  int count;  // 0 .. kMaxSegmentRows
  std::int64_t bytes;
  const std::uint8_t*
      ahead;  // where the rows of the next call lie: fetched into the cache meanwhile
  float t_first;
  float slope;
  const float* current_in;
  float* current_out;
  float* next;
  bool add_to_next;
};

// The columns [x_begin, x_end) of a block of float rows, x_begin at the start of each run. Channel
// c of column x is element (x - x_begin) * step + channel_offset[c] of run (runs == 1 ? 0 : c).
struct RowBlock {
  const float* rows;
  std::ptrdiff_t row_pitch;
  int runs;  // 1: the channels are interleaved; 3: each lies apart
  std::ptrdiff_t run_pitch;
  int channels;  // 1 or 3
  int step;
  int channel_offset[3];
  std::int64_t x_begin;
  std::int64_t x_end;
  float* tile;  // scratch: lanes * runs * step * tile_columns floats; for stretch, of all columns
};

// What the horizontal triangle filter remembers from one call to the next; zero at column 0.
struct ShrinkState {
  std::int64_t segment;
  float current[3][16];
  float next[3][16];
};

// Sums of the outputs of one block: lane r of channel c of output k is sums[(k * 3 + c) * lanes +
// r]. Planes of the result: row r of channel c begins at out + c * plane_pitch + r * width.
struct RowBlockResult {
  const float* sums;  // padded to whole groups of `lanes` outputs
  std::int64_t width;
  int rows;                  // <= lanes
  int channels;              // 1: all three planes come from channel 0
  const float* column_norm;  // per output column, or null for 1; padded as well
  const float* row_norm;     // per row, or null for 1
  float scale[3];
  float bias[3];
  bool mirrored;  // output k is column width - 1 - k
  float* out;
  std::ptrdiff_t plane_pitch;
};

struct AntialiasKernels {
  int lanes;
  void (*add_segment)(const SegmentRows&);
  // out = first * (1 - weight) + second * weight.
  void (*blend_rows)(const std::uint8_t* first, const std::uint8_t* second, float weight,
                     std::int64_t bytes, float* out);
  // Shrinks along the rows: sums[k] for the segments (filter_tables.h) that end in these columns,
  // where segment k writes output k - 1; so sums[-1] is written too, and means nothing. segment_end
  // is padded by one entry that is never reached.
  void (*shrink_columns)(const RowBlock&, const std::int32_t* segment_end, const float* t,
                         ShrinkState*, float* sums);
  // Stretches along the rows, all columns at once.
  void (*stretch_columns)(const RowBlock&, const std::int32_t* first, const std::int32_t* second,
                          const float* weight, std::int64_t outputs, float* sums);
  void (*write_block)(const RowBlockResult&);
};

// Columns of one tile; x_begin of shrink_columns is a multiple of it.
constexpr int tile_columns(int lanes) { return 4 * lanes; }

namespace ETSEG_ISA_NAMESPACE {

void add_segment(const SegmentRows&);
void blend_rows(const std::uint8_t* first, const std::uint8_t* second, float weight,
                std::int64_t bytes, float* out);
void shrink_columns(const RowBlock&, const std::int32_t* segment_end, const float* t, ShrinkState*,
                    float* sums);
void stretch_columns(const RowBlock&, const std::int32_t* first, const std::int32_t* second,
                     const float* weight, std::int64_t outputs, float* sums);
void write_block(const RowBlockResult&);

}  // namespace ETSEG_ISA_NAMESPACE
}  // namespace etseg
