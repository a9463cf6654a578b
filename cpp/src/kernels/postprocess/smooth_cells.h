// Source cells in which a softmax is smooth, a vector of cells at a time: what it is at a few nodes
// of each. A cell lies between two source columns and between the first and the last row of a band.
//
// In docs/kernels.md: "By nodes: smooth cells". This file has the cells, the test whether they are
// smooth, and the powers at their nodes; cell_polynomials.h makes polynomials of them,
// softmax_by_nodes.h evaluates those.
#pragma once

#include "kernels/postprocess/class_list.h"
#include "kernels/postprocess/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Along a row or a column of target pixels every logit is a straight line. A softmax p(t) of lines
// whose slopes lie within an interval of length s has |p^(5)| / 5! <= s^5 / 480 if its class has
// the least or the greatest slope, and <= s^5 / 324 in any case: docs/kernels.md has the proof. The
// polynomial through five evenly spaced nodes is off by at most 0.00355 times that; in both
// directions together by at most 1 + 2.21 times that, as it enlarges errors at its nodes by 2.21 at
// most. With kMaxSpread that is 1.1e-6; nothing beyond 7.5e-7, the first constant's, was ever
// found. (tests/python/native/test_smooth_softmax.py looks for exceptions to each of these.)
inline constexpr int kDegree = 4;
inline constexpr int kNodes = kDegree + 1;
inline constexpr float kMaxSpread = 0.5F;

// The rows of nodes: the rows of the band themselves if these are fewer, or else kNodes of them
// from its first to its last.
struct NodeRows {
  std::int64_t count;
  float first;   // y fraction
  float change;  // of it to the last row
};

static inline NodeRows node_rows(const UpsampleArgs& args, const UpsampleBand& band) {
  const float first = args.y_fraction[band.y];
  return {band.rows < kNodes ? band.rows : kNodes, first,
          args.y_fraction[band.y + band.rows - 1] - first};
}

// A class at the corners of cells. Its logits are less the greatest of each source pixel, which
// changes no probability, and no deeper than -kDeepest.
struct CellLogits {
  F32 corner;      // in the left column, on the first row
  F32 down;        // change from there to the last row
  F32 right;       // change from there to the right column
  F32 down_right;  // what that change differs by on the last row
};

// The cells that begin at kLanes columns from `first` on.
class CellVector {
 public:
  CellVector(const UpsampleArgs& args, const UpsampleBand& band, std::int64_t first)
      : source_(source_rows(args, band)),
        rows_(node_rows(args, band)),
        first_(first),
        at_edge_(first + kLanes >= args.width),
        upper_tops_(load_pair(args.tops + band.upper * args.width)),
        lower_tops_(load_pair(args.tops + band.lower * args.width)) {}

  const NodeRows& rows() const { return rows_; }

  CellLogits of_class(std::int64_t c) const {
    const Pair upper = below(upper_tops_, source_.upper + c * source_.plane_size);
    const Pair lower = below(lower_tops_, source_.lower + c * source_.plane_size);
    const F32 left_slope = lower.left - upper.left;
    const F32 right_slope = lower.right - upper.right;
    const F32 corner = upper.left + rows_.first * left_slope;
    const F32 down = rows_.change * left_slope;
    return {corner, down, upper.right + rows_.first * right_slope - corner,
            rows_.change * right_slope - down};
  }

 private:
  struct Pair {
    F32 left, right;
  };
  // Neighbouring columns; the last column of the source is its own neighbour.
  Pair load_pair(const float* row) const {
    const F32 left = load<F32>(row + first_);
    if (!at_edge_) return {left, load<F32>(row + first_ + 1)};
    I32 next;
    for (int i = 0; i < kLanes; ++i) next[i] = i + 1 < kLanes ? i + 1 : i;
    return {left, permute(left, next)};
  }
  Pair below(const Pair& tops, const float* row) const {
    __builtin_prefetch(row + first_ + 2 * kLanes);  // as line_of_class() does
    const Pair logits = load_pair(row);
    return {at_least(-kDeepest, logits.left - tops.left),
            at_least(-kDeepest, logits.right - tops.right)};
  }

  const SourceRows source_;
  const NodeRows rows_;
  const std::int64_t first_;
  const bool at_edge_;
  const Pair upper_tops_, lower_tops_;
};

// How far apart the classes' slopes are, each way. Along the rows between the first and the last
// the slopes are `right` and a part of the turn, `down_right`: their range is at most that of both.
class SlopeSpread {
 public:
  void add(const CellLogits& logits) {
    low_x_ = min(logits.right, low_x_);
    high_x_ = max(logits.right, high_x_);
    low_y_ = min(logits.down, low_y_);
    high_y_ = max(logits.down, high_y_);
    low_turn_ = min(logits.down_right, low_turn_);
    high_turn_ = max(logits.down_right, high_turn_);
  }
  // By lanes. As some class is the greatest of each source pixel, no slope itself is beyond
  // kMaxSpread then, nor is its change.
  I32 is_smooth() const {
    const F32 turn = high_turn_ - low_turn_;
    return (high_x_ - low_x_ + turn <= kMaxSpread) & (high_y_ - low_y_ + turn <= kMaxSpread);
  }

 private:
  F32 low_x_ = {}, high_x_ = {}, low_y_ = {}, high_y_ = {}, low_turn_ = {}, high_turn_ = {};
};

// The powers of a class at the nodes: geometric sequences along each row and down each column.
struct PowerSequence {
  F32 power;       // at the corner
  F32 down;        // ratio of a row to the one before, in the left column
  F32 right;       // ratio of a column to the one before, on the first row
  F32 down_right;  // ratio of `right` on a row to that on the one before

  void next_row() {
    power *= down;
    right *= down_right;
  }
};

// The sequences' logarithms, to be exponentiated.
static inline PowerSequence exponents(const CellLogits& logits, const NodeRows& rows) {
  const float per_row = 1.0F / static_cast<float>(rows.count > 1 ? rows.count - 1 : 1);
  constexpr float per_column = 1.0F / kDegree;
  return {logits.corner, logits.down * per_row, logits.right * per_column,
          logits.down_right * (per_row * per_column)};
}

// All but the first lie within kMaxSpread / kDegree of zero in a smooth cell, with few rows not
// even the second.
template <int kClasses>
static inline void exponentiate_together(PowerSequence* sequences, bool all_rows) {
  F32 powers[kClasses];
#pragma GCC unroll 8
  for (int k = 0; k < kClasses; ++k) powers[k] = sequences[k].power;
  exp_in_range(powers);
#pragma GCC unroll 8
  for (int k = 0; k < kClasses; ++k) {
    PowerSequence& sequence = sequences[k];
    const F32 down = sequence.down;
    sequence = {powers[k], all_rows ? exp_near_zero(down) : exp_in_range(down),
                exp_near_zero(sequence.right), exp_near_zero(sequence.down_right)};
  }
}

static inline void exponentiate(PowerSequence* sequences, std::int64_t count,
                                const NodeRows& rows) {
  constexpr int kTogether = kLanes == 16 ? 2 : 1;  // as the registers allow
  const bool all_rows = rows.count == kNodes;
  std::int64_t i = 0;
  for (; i + kTogether <= count; i += kTogether) {
    exponentiate_together<kTogether>(sequences + i, all_rows);
  }
  for (; i < count; ++i) exponentiate_together<1>(sequences + i, all_rows);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
