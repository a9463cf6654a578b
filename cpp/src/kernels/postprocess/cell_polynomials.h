// Probabilities in smooth cells as polynomials: exponentials and sums over the classes at the
// nodes, a vector of cells at a time, then differences from node to node. In docs/kernels.md: "At
// the nodes".
#pragma once

#include "kernels/postprocess/smooth_cells.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// The scratch's rows of cells: first reciprocals of the denominators, node by node along the nodes'
// rows; then the polynomials of one map, those of a row from the highest order down.
static inline float* reciprocals(const UpsampleScratch& scratch) { return scratch.cells; }
static inline float* polynomials(const UpsampleScratch& scratch) {
  return scratch.cells + kNodes * kNodes * scratch.cell_stride;
}
static_assert(2 * kNodes * kNodes == kValuesPerCell);

// Adds kClasses sequences to the sums at the nodes, row by row.
template <int kClasses>
static inline void add_to_nodes(const PowerSequence* from, std::int64_t rows, F32* sums) {
  PowerSequence sequences[kClasses];
#pragma GCC unroll 8
  for (int k = 0; k < kClasses; ++k) sequences[k] = from[k];
  for (std::int64_t j = 0; j < rows; ++j) {
    F32 sum[kNodes];
#pragma GCC unroll 8
    for (int i = 0; i < kNodes; ++i) sum[i] = sums[j * kNodes + i];
#pragma GCC unroll 8
    for (int k = 0; k < kClasses; ++k) {
      F32 power = sequences[k].power;
      const F32 ratio = sequences[k].right;
#pragma GCC unroll 8
      for (int i = 0; i < kNodes; ++i) {
        sum[i] += power;
        power *= ratio;
      }
      sequences[k].next_row();
    }
#pragma GCC unroll 8
    for (int i = 0; i < kNodes; ++i) sums[j * kNodes + i] = sum[i];
  }
}

// By lanes: which cells from column `first` on have a NaN or an infinity among their sources.
static inline I32 nonfinite_cells(const UpsampleArgs& args, const UpsampleBand& band,
                                  std::int64_t first) {
  I32 bad = {};
  if (!args.has_nonfinite) return bad;
  for (int i = 0; i < kLanes; ++i) {
    const std::int64_t x = first + i;
    const std::int64_t next = x + 1 < args.width ? x + 1 : x;
    for (std::int64_t row : {band.upper, band.lower}) {
      const std::int32_t* labels = args.labels + row * args.width;
      if (labels[x] == kNonFinite || labels[next] == kNonFinite) bad[i] = -1;
    }
  }
  return bad;
}

// Of the listed classes, in kLanes cells from column `first` on. False if some are not smooth.
[[gnu::noinline]] static bool find_denominators(const UpsampleArgs& args, const UpsampleBand& band,
                                                const ClassList& list, std::int64_t first,
                                                const UpsampleScratch& scratch) {
  constexpr int kClassesAtOnce = 32;
  const CellVector cells(args, band, first);
  const NodeRows rows = cells.rows();
  SlopeSpread interpolate_row;
  F32 sums[kNodes * kNodes];
  for (std::int64_t node = 0; node < rows.count * kNodes; ++node) sums[node] = F32{};
  PowerSequence sequences[kClassesAtOnce];
  for (std::int64_t i = 0; i < list.count; i += kClassesAtOnce) {
    const std::int64_t rest = list.count - i;
    const std::int64_t count = rest < kClassesAtOnce ? rest : kClassesAtOnce;
    for (std::int64_t k = 0; k < count; ++k) {
      const CellLogits logits = cells.of_class(list.classes[i + k]);
      interpolate_row.add(logits);
      sequences[k] = exponents(logits, rows);
    }
    exponentiate(sequences, count, rows);
    std::int64_t k = 0;
    for (; k + 8 <= count; k += 8) add_to_nodes<8>(sequences + k, rows.count, sums);
    for (; k + 4 <= count; k += 4) add_to_nodes<4>(sequences + k, rows.count, sums);
    for (; k < count; ++k) add_to_nodes<1>(sequences + k, rows.count, sums);
  }
  float* to = reciprocals(scratch) + first;
  for (std::int64_t node = 0; node < rows.count * kNodes; ++node) {
    store(to + node * scratch.cell_stride, 1.0F / sums[node]);
  }
  const I32 is_smooth = interpolate_row.is_smooth() & ~nonfinite_cells(args, band, first);
  store(scratch.cell_smooth + first, is_smooth);
  return !any(~is_smooth);
}

// Of kNodes values, `step` apart: in place of each the difference of its order. Neighbours differ
// so little that no bit is lost.
static inline void to_differences(F32* values, std::int64_t step) {
#pragma GCC unroll 8
  for (int order = 1; order < kNodes; ++order) {
#pragma GCC unroll 8
    for (int i = kNodes - 1; i >= order; --i) values[i * step] -= values[(i - 1) * step];
  }
}

// The probabilities of a label at the nodes of kLanes cells from column `first` on, as differences
// along the rows, and down the columns where a band has more rows than nodes.
template <int kRows>
[[gnu::noinline]] static void find_polynomials(const UpsampleArgs& args, const UpsampleBand& band,
                                               std::int64_t label, std::int64_t first,
                                               const UpsampleScratch& scratch) {
  const CellVector cells(args, band, first);
  PowerSequence sequence = exponents(cells.of_class(label), cells.rows());
  exponentiate(&sequence, 1, cells.rows());
  F32 values[kRows * kNodes];
  const float* from = reciprocals(scratch) + first;
#pragma GCC unroll 8
  for (int j = 0; j < kRows; ++j) {
    F32 power = sequence.power;
#pragma GCC unroll 8
    for (int i = 0; i < kNodes; ++i) {
      values[j * kNodes + i] = power * load<F32>(from);
      from += scratch.cell_stride;
      power *= sequence.right;
    }
    sequence.next_row();
    to_differences(values + j * kNodes, 1);
  }
  if (kRows == kNodes) {
#pragma GCC unroll 8
    for (int i = 0; i < kNodes; ++i) to_differences(values + i, kNodes);
  }
  float* to = polynomials(scratch) + first;
#pragma GCC unroll 8
  for (int j = 0; j < kRows; ++j) {
#pragma GCC unroll 8
    for (int i = kDegree; i >= 0; --i) {
      store(to, values[j * kNodes + i]);
      to += scratch.cell_stride;
    }
  }
}

using FindPolynomials = void (*)(const UpsampleArgs&, const UpsampleBand&, std::int64_t,
                                 std::int64_t, const UpsampleScratch&);
constexpr FindPolynomials kFindPolynomials[kNodes + 1] = {
    nullptr,
    find_polynomials<1>,
    find_polynomials<2>,
    find_polynomials<3>,
    find_polynomials<4>,
    find_polynomials<kNodes>,
};

}  // namespace etseg::ETSEG_ISA_NAMESPACE
