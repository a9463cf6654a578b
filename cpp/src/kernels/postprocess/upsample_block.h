// One vector of target columns, and what the logits of a class are at them.
// In docs/kernels.md: "Words".
#pragma once

#include "kernels/postprocess/pixel_vectors.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

struct ColumnBlock {
  std::int64_t x;            // first target column
  std::int64_t lanes;        // columns; the lanes beyond repeat the last one
  std::int64_t first, last;  // the source columns between which they lie
  // Are the source columns from `base` on, one vector of them, all that is needed? Then a permute
  // brings them there; `left` and `right` count from `base`.
  bool one_vector;
  bool past_caches;  // the planes' part of each row is a cache line, to be streamed
  std::int64_t base;
  I32 left, right;
  F32 fraction;
};

static inline ColumnBlock make_block(const UpsampleArgs& args, std::int64_t x) {
  ColumnBlock block;
  block.x = x;
  const std::int64_t rest = args.target_width - x;
  block.lanes = rest < kLanes ? rest : kLanes;
  block.past_caches = false;
  block.first = args.left[x];
  block.last = args.right[x + kLanes - 1];
  block.base = block.first < args.width - kLanes ? block.first : args.width - kLanes;
  block.one_vector = block.base >= 0 && block.last - block.base < kLanes;
  if (!block.one_vector) block.base = 0;
  const I32 base = broadcast_int(static_cast<std::int32_t>(block.base));
  block.left = load<I32>(args.left + x) - base;
  block.right = load<I32>(args.right + x) - base;
  block.fraction = load<F32>(args.x_fraction + x);
  return block;
}

[[gnu::noinline, maybe_unused]] static F32 gather(const float* row, I32 index) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = row[index[i]];
  return load<F32>(lanes);
}

// A source row at the block's columns. A constant row stays exactly constant.
static inline F32 interpolate_row(const float* row, const ColumnBlock& block) {
  F32 left, right;
  if (block.one_vector) {
    const F32 source = load<F32>(row + block.base);
    left = permute(source, block.left);
    right = permute(source, block.right);
  } else {
    left = gather(row, block.left);
    right = gather(row, block.right);
  }
  return left + block.fraction * (right - left);
}

// Down a column a class is a straight line:  start + y_fraction * slope.
struct LogitRamp {
  F32 start, slope;
};

static inline LogitRamp operator-(LogitRamp a, LogitRamp b) {
  return {a.start - b.start, a.slope - b.slope};
}

static inline F32 at_fraction(LogitRamp ramp, F32 fraction) {
  return ramp.start + fraction * ramp.slope;
}

// The two source rows of a band, in the plane of class 0.
struct SourceRows {
  const float* upper;
  const float* lower;
  std::int64_t plane_size;
};

static inline SourceRows source_rows(const UpsampleArgs& args, const UpsampleBand& band) {
  return {args.logits.data + band.upper * args.width, args.logits.data + band.lower * args.width,
          args.logits.plane_size};
}

static inline LogitRamp ramp_of_class(const SourceRows& rows, const ColumnBlock& block,
                                      std::int64_t c) {
  const float* upper_row = rows.upper + c * rows.plane_size;
  const float* lower_row = rows.lower + c * rows.plane_size;
  // The rows of the classes lie far apart and each is short: the hardware foresees none of them.
  __builtin_prefetch(upper_row + block.first + 32);
  __builtin_prefetch(lower_row + block.first + 32);
  const F32 upper = interpolate_row(upper_row, block);
  const F32 lower = interpolate_row(lower_row, block);
  return {upper, lower - upper};
}

// The lanes that have a NaN or an infinity among their sources.
static inline I32 nonfinite_lanes(const UpsampleArgs& args, const UpsampleBand& band,
                                  const ColumnBlock& block) {
  I32 bad = {};
  if (!args.has_nonfinite) return bad;
  const std::int32_t* upper = args.labels + band.upper * args.width + block.base;
  const std::int32_t* lower = args.labels + band.lower * args.width + block.base;
  for (int i = 0; i < kLanes; ++i) {
    const int left = block.left[i];
    const int right = block.right[i];
    const bool is_bad = upper[left] == kNonFinite || upper[right] == kNonFinite ||
                        lower[left] == kNonFinite || lower[right] == kNonFinite;
    bad[i] = is_bad ? -1 : 0;
  }
  return bad;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
