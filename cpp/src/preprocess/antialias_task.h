// The triangle filter, applied: what all tasks of one call share, and one of these tasks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "etseg/image.h"
#include "kernels/resize/antialias_kernels.h"
#include "preprocess/byte_runs.h"
#include "preprocess/filter_tables.h"
#include "preprocess/resampler.h"

namespace etseg {

struct AntialiasAxes {
  bool shrink_rows = false;  // else row_taps
  bool shrink_columns = false;
  TriangleAxis row_triangles, column_triangles;
  TwoTapAxis row_taps, column_taps;

  // Pads the tables of the columns as the kernels want them.
  void assign(const ImageView& image, const ResampleTarget& target, int lanes);
};

// Rows of the target are made in blocks of as many as a vector has lanes, each block in strips of
// columns: the float rows of a strip stay in the cache.
struct AntialiasPlan {
  AntialiasPlan(const AntialiasKernels& kernels, const AntialiasAxes& axes, const ImageView& image,
                const ResampleTarget& target);

  const AntialiasKernels& kernels;
  const AntialiasAxes& axes;
  const ImageView& image;
  const ResampleTarget& target;
  ByteRuns rows;
  std::int64_t strip_columns;
  std::int64_t run_pitch;  // floats of a row of a strip: of each run, and of all
  std::int64_t row_pitch;

  // Parts of the scratch of one task, in floats, in this order; then rows of packed bytes.
  std::int64_t block_floats, carry_floats, tile_floats, sums_floats, staged_floats;
  std::int64_t scratch_bytes;
};

// Some rows of the target, on one thread, with scratch of its own: plan.scratch_bytes that hold
// anything that is initialised, aligned to floats.
class AntialiasTask {
 public:
  AntialiasTask(const AntialiasPlan& plan, std::byte* scratch);

  void run(std::int64_t begin, std::int64_t end) const;

 private:
  // A strip of the source rows of one segment (filter_tables.h).
  struct Piece {
    std::int64_t segment;
    std::int64_t x;
  };

  void run_block(std::int64_t y, std::int64_t rows) const;
  // `ahead` is the piece that comes next.
  void add_segment(Piece piece, Piece ahead, const float* current_in, float* current_out,
                   float* next) const;
  void blend_rows(std::int64_t y, std::int64_t x, float* row) const;
  void resize_columns(std::int64_t x, ShrinkState* state) const;
  void write(std::int64_t y, std::int64_t rows) const;

  std::int64_t next_strip(std::int64_t x) const;   // 0 after the last
  std::int64_t strip_bytes(std::int64_t x) const;  // that may be read of each run
  const std::uint8_t* address(std::int64_t y, std::int64_t x, int run) const;
  const std::uint8_t* packed_rows(std::int64_t y, int count, std::int64_t x) const;
  float* carry(std::int64_t x) const;
  float* sums() const;

  const AntialiasPlan& plan_;
  float* block_;  // float rows of one strip
  float* carry_;  // what the segment that ends a block gives to the row after it
  float* tile_;
  float* sums_;
  float* staged_;  // a block of rows of the target, unless that is planar floats
  std::uint8_t* packed_;
};

}  // namespace etseg
