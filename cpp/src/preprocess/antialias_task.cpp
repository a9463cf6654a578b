#include "preprocess/antialias_task.h"

#include <algorithm>

#include "preprocess/input_rows.h"

namespace etseg {
namespace {

// Float rows of a strip. More than this, and what is fetched ahead is gone before it is used.
constexpr std::int64_t kBlockBytes = 64 * 1024;

constexpr std::int64_t kFloatBytes = sizeof(float);

constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

}  // namespace

void AntialiasAxes::assign(const ImageView& image, const ResampleTarget& target, int lanes) {
  shrink_rows = image.height >= target.height;
  shrink_columns = image.width >= target.width;
  if (shrink_rows) {
    row_triangles.assign(image.height, target.height);
  } else {
    row_taps.assign(image.height, target.height);
  }
  if (shrink_columns) {
    column_triangles.assign(image.width, target.width);
    column_triangles.begin.push_back(INT32_MAX);
    column_triangles.norm.resize(static_cast<std::size_t>(round_up(target.width, lanes)));
  } else {
    column_taps.assign(image.width, target.width);
  }
}

AntialiasPlan::AntialiasPlan(const AntialiasKernels& kernels_in, const AntialiasAxes& axes_in,
                             const ImageView& image_in, const ResampleTarget& target_in)
    : kernels(kernels_in), axes(axes_in), image(image_in), target(target_in), rows(image_in) {
  const std::int64_t lanes = kernels.lanes;
  const std::int64_t tile = tile_columns(kernels.lanes);
  const std::int64_t columns = round_up(image.width, tile);
  const std::int64_t column_floats = lanes * rows.runs * rows.step;
  strip_columns = columns;
  if (axes.shrink_columns) {
    const std::int64_t fit = kBlockBytes / (kFloatBytes * column_floats * tile) * tile;
    strip_columns = std::min(columns, std::max(tile, fit));
  }
  run_pitch = strip_columns * rows.step;
  row_pitch = rows.runs * run_pitch;

  block_floats = lanes * row_pitch;
  carry_floats = (columns + strip_columns - 1) / strip_columns * row_pitch;
  tile_floats = column_floats * (axes.shrink_columns ? tile : columns);
  sums_floats = (round_up(target.width, lanes) + 1) * 3 * lanes;
  staged_floats = target.is_planar_floats() ? 0 : 3 * lanes * target.width;
  const std::int64_t packed_bytes = rows.packed ? kMaxSegmentRows * run_pitch : 0;
  const std::int64_t floats =
      block_floats + carry_floats + tile_floats + sums_floats + staged_floats;
  constexpr std::int64_t kCacheLinePair = 128;  // no two tasks may write to one
  scratch_bytes = round_up(floats * kFloatBytes + packed_bytes, kCacheLinePair);
}

AntialiasTask::AntialiasTask(const AntialiasPlan& plan, std::byte* scratch)
    : plan_(plan),
      block_(reinterpret_cast<float*>(scratch)),
      carry_(block_ + plan.block_floats),
      tile_(carry_ + plan.carry_floats),
      sums_(tile_ + plan.tile_floats),
      staged_(sums_ + plan.sums_floats),
      packed_(reinterpret_cast<std::uint8_t*>(staged_ + plan.staged_floats)) {}

void AntialiasTask::run(std::int64_t begin, std::int64_t end) const {
  if (plan_.axes.shrink_rows) {
    // The segment before the first row: only what it gives to that row is of use.
    for (std::int64_t x = 0; x < plan_.image.width; x += plan_.strip_columns) {
      const std::int64_t next = next_strip(x);
      add_segment({begin, x}, {next > 0 ? begin : begin + 1, next}, block_, block_, carry(x));
    }
  }
  const std::int64_t lanes = plan_.kernels.lanes;
  for (std::int64_t y = begin; y < end; y += lanes) run_block(y, std::min(lanes, end - y));
}

void AntialiasTask::run_block(std::int64_t y, std::int64_t rows) const {
  ShrinkState state = {};
  for (std::int64_t x = 0; x < plan_.image.width; x += plan_.strip_columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
      float* row = block_ + r * plan_.row_pitch;
      if (!plan_.axes.shrink_rows) {
        blend_rows(y + r, x, row);
        continue;
      }
      // Row y + r ends with segment y + r + 1.
      const std::int64_t segment = y + r + 1;
      Piece ahead = {segment + 1, x};
      if (r + 1 == rows) {
        ahead.x = next_strip(x);
        if (ahead.x > 0) ahead.segment = y + 1;
      }
      add_segment({segment, x}, ahead, r == 0 ? carry(x) : row, row,
                  r + 1 < rows ? row + plan_.row_pitch : carry(x));
    }
    resize_columns(x, &state);
  }
  write(y, rows);
}

void AntialiasTask::add_segment(Piece piece, Piece ahead, const float* current_in,
                                float* current_out, float* next) const {
  const TriangleAxis& axis = plan_.axes.row_triangles;
  const auto k = static_cast<std::size_t>(piece.segment);
  const std::int64_t begin = axis.begin[k], count = axis.begin[k + 1] - begin;
  const std::int64_t ahead_row = axis.begin[static_cast<std::size_t>(ahead.segment)];
  const std::int64_t parts =
      std::max<std::int64_t>(1, (count + kMaxSegmentRows - 1) / kMaxSegmentRows);
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t from = begin + count * part / parts;
    const std::int64_t to = begin + count * (part + 1) / parts;
    SegmentRows rows = {};
    rows.count = static_cast<int>(to - from);
    rows.bytes = strip_bytes(piece.x);
    rows.t_first =
        static_cast<float>(axis.t_first[k] + axis.slope * static_cast<double>(from - begin));
    rows.slope = static_cast<float>(axis.slope);
    rows.add_to_next = part > 0;
    for (int run = 0; run < plan_.rows.runs; ++run) {
      if (plan_.rows.packed) {
        rows.source = rows.ahead = packed_rows(from, rows.count, piece.x);
        rows.row_stride = plan_.run_pitch;
      } else {
        rows.source = address(from, piece.x, run);
        rows.ahead =
            part + 1 < parts ? address(to, piece.x, run) : address(ahead_row, ahead.x, run);
        rows.row_stride = plan_.image.row_stride;
      }
      const std::int64_t at = run * plan_.run_pitch;
      rows.current_in = (part == 0 ? current_in : current_out) + at;
      rows.current_out = current_out + at;
      rows.next = next + at;
      plan_.kernels.add_segment(rows);
    }
  }
}

void AntialiasTask::blend_rows(std::int64_t y, std::int64_t x, float* row) const {
  const TwoTapAxis& axis = plan_.axes.row_taps;
  const auto at = static_cast<std::size_t>(y);
  const std::int64_t first = axis.first[at], second = axis.second[at];
  for (int run = 0; run < plan_.rows.runs; ++run) {
    const std::uint8_t *above, *below;
    if (plan_.rows.packed) {
      above = packed_rows(first, static_cast<int>(second - first) + 1, x);
      below = above + (second - first) * plan_.run_pitch;
    } else {
      above = address(first, x, run);
      below = address(second, x, run);
    }
    plan_.kernels.blend_rows(above, below, axis.weight[at], strip_bytes(x),
                             row + run * plan_.run_pitch);
  }
}

void AntialiasTask::resize_columns(std::int64_t x, ShrinkState* state) const {
  RowBlock block = {};
  block.rows = block_;
  block.row_pitch = plan_.row_pitch;
  block.runs = plan_.rows.runs;
  block.run_pitch = plan_.run_pitch;
  block.channels = plan_.rows.channels;
  block.step = plan_.rows.step;
  std::copy_n(plan_.rows.channel_offset, 3, block.channel_offset);
  block.x_begin = x;
  block.x_end = std::min(x + plan_.strip_columns, plan_.image.width);
  block.tile = tile_;
  if (plan_.axes.shrink_columns) {
    const TriangleAxis& axis = plan_.axes.column_triangles;
    plan_.kernels.shrink_columns(block, axis.begin.data() + 1, axis.t.data(), state, sums());
  } else {
    const TwoTapAxis& axis = plan_.axes.column_taps;
    plan_.kernels.stretch_columns(block, axis.first.data(), axis.second.data(), axis.weight.data(),
                                  plan_.target.width, sums());
  }
}

void AntialiasTask::write(std::int64_t y, std::int64_t rows) const {
  const ResampleTarget& target = plan_.target;
  RowBlockResult result = {};
  result.sums = sums();
  result.width = target.width;
  result.rows = static_cast<int>(rows);
  result.channels = plan_.rows.channels;
  if (plan_.axes.shrink_columns) result.column_norm = plan_.axes.column_triangles.norm.data();
  if (plan_.axes.shrink_rows) result.row_norm = plan_.axes.row_triangles.norm.data() + y;
  std::copy_n(target.scale, 3, result.scale);
  std::copy_n(target.bias, 3, result.bias);
  result.mirrored = plan_.rows.mirrored;
  if (target.is_planar_floats()) {
    result.out = static_cast<float*>(target.out) + y * target.width;
    result.plane_pitch = target.height * target.width;
    plan_.kernels.write_block(result);
  } else {
    result.out = staged_;
    result.plane_pitch = plan_.kernels.lanes * target.width;
    plan_.kernels.write_block(result);
    store_rows(staged_, result.plane_pitch, rows, target, y);
  }
}

std::int64_t AntialiasTask::next_strip(std::int64_t x) const {
  const std::int64_t next = x + plan_.strip_columns;
  return next < plan_.image.width ? next : 0;
}

std::int64_t AntialiasTask::strip_bytes(std::int64_t x) const {
  // Only after the last column of a row there may be nothing that is ours.
  if (next_strip(x) > 0) return plan_.run_pitch;
  return plan_.rows.bytes(plan_.image.width - x);
}

const std::uint8_t* AntialiasTask::address(std::int64_t y, std::int64_t x, int run) const {
  return plan_.image.data + y * plan_.image.row_stride + plan_.rows.offset[run] +
         x * plan_.rows.step;
}

const std::uint8_t* AntialiasTask::packed_rows(std::int64_t y, int count, std::int64_t x) const {
  const std::int64_t columns = std::min(plan_.strip_columns, plan_.image.width - x);
  for (int j = 0; j < count; ++j) {
    pack_columns(plan_.image, y + j, x, columns, plan_.rows.channels,
                 packed_ + j * plan_.run_pitch);
  }
  return packed_;
}

float* AntialiasTask::carry(std::int64_t x) const {
  return carry_ + x / plan_.strip_columns * plan_.row_pitch;
}

// After the one that stands before output 0.
float* AntialiasTask::sums() const { return sums_ + 3 * plan_.kernels.lanes; }

}  // namespace etseg
