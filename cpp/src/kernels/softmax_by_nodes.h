// Softmax of a band in its smooth cells: exponentials and sums over the classes at the nodes of
// each cell, and then one polynomial per map through the nodes.
#pragma once

#include "kernels/smooth_cells.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// In the scratch's rows of cells, [j * kNodes + i] is on the nodes' row j, i node distances right
// of the cell's left column: first reciprocals of the denominators, then polynomials of one map.
static inline float* reciprocals(const UpsampleScratch& scratch) { return scratch.cells; }
static inline float* polynomials(const UpsampleScratch& scratch) {
  return scratch.cells + kNodes * kNodes * scratch.cell_stride;
}
static_assert(2 * kNodes * kNodes == kValuesPerCell);

// Adds kClasses sequences to the sums at the nodes, row by row.
template <int kClasses>
static inline void add_sequences(const Sequence* from, std::int64_t rows, F32* sums) {
  Sequence sequences[kClasses];
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
  const Cells cells(args, band, first);
  const NodeRows rows = cells.rows();
  Spread spread;
  F32 sums[kNodes * kNodes];
  for (std::int64_t node = 0; node < rows.count * kNodes; ++node) sums[node] = F32{};
  Sequence sequences[kClassesAtOnce];
  for (std::int64_t i = 0; i < list.count; i += kClassesAtOnce) {
    const std::int64_t rest = list.count - i;
    const std::int64_t count = rest < kClassesAtOnce ? rest : kClassesAtOnce;
    for (std::int64_t k = 0; k < count; ++k) {
      const CellLogits logits = cells.of_class(list.classes[i + k]);
      spread.add(logits);
      sequences[k] = exponents(logits, rows);
    }
    raise(sequences, count, rows);
    std::int64_t k = 0;
    for (; k + 8 <= count; k += 8) add_sequences<8>(sequences + k, rows.count, sums);
    for (; k + 4 <= count; k += 4) add_sequences<4>(sequences + k, rows.count, sums);
    for (; k < count; ++k) add_sequences<1>(sequences + k, rows.count, sums);
  }
  float* to = reciprocals(scratch) + first;
  for (std::int64_t node = 0; node < rows.count * kNodes; ++node) {
    store(to + node * scratch.cell_stride, 1.0F / sums[node]);
  }
  const I32 is_smooth = spread.is_smooth() & ~nonfinite_cells(args, band, first);
  store(scratch.cell_smooth + first, is_smooth);
  return !any(~is_smooth);
}

// Are all cells of a block smooth?
static inline bool is_smooth(const UpsampleScratch& scratch, const Block& block) {
  const std::int64_t last = block.base + block.left[kLanes - 1];
  for (std::int64_t x = block.first; x <= last; ++x) {
    if (scratch.cell_smooth[x] == 0) return false;
  }
  return true;
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
[[gnu::noinline]] static void find_polynomials(const UpsampleArgs& args, const UpsampleBand& band,
                                               std::int64_t label, std::int64_t first,
                                               const UpsampleScratch& scratch) {
  const Cells cells(args, band, first);
  const NodeRows rows = cells.rows();
  Sequence sequence = exponents(cells.of_class(label), rows);
  raise(&sequence, 1, rows);
  F32 values[kNodes * kNodes];
  const float* from = reciprocals(scratch) + first;
  for (std::int64_t j = 0; j < rows.count; ++j) {
    F32 power = sequence.power;
#pragma GCC unroll 8
    for (int i = 0; i < kNodes; ++i) {
      values[j * kNodes + i] = power * load<F32>(from + (j * kNodes + i) * scratch.cell_stride);
      power *= sequence.right;
    }
    sequence.next_row();
    to_differences(values + j * kNodes, 1);
  }
  if (rows.count == kNodes) {
    for (int i = 0; i < kNodes; ++i) to_differences(values + i, kNodes);
  }
  float* to = polynomials(scratch) + first;
  for (std::int64_t node = 0; node < rows.count * kNodes; ++node) {
    store(to + node * scratch.cell_stride, values[node]);
  }
}

// Newton's polynomial from differences d, at u node distances from the first node, nested:
//   d0 + u (d1 + (u - 1) / 2 (d2 + (u - 2) / 3 (d3 + (u - 3) / 4 d4)))
// These are the factors.
struct Factors {
  F32 factor[kDegree];
};

static inline Factors factors_at(F32 u) {
  Factors factors;
  for (int i = 0; i < kDegree; ++i) {
    factors.factor[i] = (u - static_cast<float>(i)) * (1.0F / static_cast<float>(i + 1));
  }
  return factors;
}

// Of the rows of a band, each in all lanes.
static inline void find_row_factors(const UpsampleBand& band, Factors* rows) {
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const std::int64_t steps = band.rows > 1 ? band.rows - 1 : 1;
    rows[j] = factors_at(broadcast(static_cast<float>(kDegree * j) / static_cast<float>(steps)));
  }
}

// A row of the scratch's cells at the columns of a block.
static inline F32 at_columns(const float* row, const Block& block) {
  row += block.base;
  // Where there is no instruction for it a permutation is slow, and mostly spreads one value.
  if (kLanes == 4 && block.left[0] == block.left[kLanes - 1]) return broadcast(row[block.left[0]]);
  return block.one_vector ? __builtin_shuffle(load<F32>(row), block.left) : gather(row, block.left);
}

// Of map p, whose polynomials there are.
static inline void write_smooth_block(const UpsampleArgs& args, const UpsampleBand& band,
                                      const Block& whole_block, std::int64_t p,
                                      const Factors* row_factors, const UpsampleScratch& scratch) {
  const Block block = whole_block;
  const Factors columns = factors_at(block.fraction * static_cast<float>(kDegree));
  const auto along_row = [&](std::int64_t j) {
    const float* row = polynomials(scratch) + j * kNodes * scratch.cell_stride;
    F32 value = at_columns(row + kDegree * scratch.cell_stride, block);
#pragma GCC unroll 8
    for (int i = kDegree - 1; i >= 0; --i) {
      value = value * columns.factor[i] + at_columns(row + i * scratch.cell_stride, block);
    }
    return value;
  };
  write_map(args, band, block, p, [&](auto map) {
    if (band.rows < kNodes) {
      for (std::int64_t j = 0; j < band.rows; ++j) map.put(at_most(1.0F, along_row(j)));
      return;
    }
    F32 down[kNodes];
#pragma GCC unroll 8
    for (int j = 0; j < kNodes; ++j) down[j] = along_row(j);
    for (std::int64_t j = 0; j < band.rows; ++j) {
      F32 value = down[kDegree];
#pragma GCC unroll 8
      for (int i = kDegree - 1; i >= 0; --i) value = value * row_factors[j].factor[i] + down[i];
      map.put(at_most(1.0F, value));
    }
  });
}

// A cell has as many nodes however few pixels lie in it. And a map costs more than by ratios, which
// tells with short vectors where many maps share the denominators.
static inline bool nodes_are_worth_it(const UpsampleArgs& args, const UpsampleBand& band) {
  const std::int64_t columns = args.target_width / args.width;
  return (kLanes == 16 || args.out.plane_count <= 10) && args.width >= kLanes &&
         (columns >= 4 || (columns >= 2 && band.rows >= 2));
}

// Writes the blocks in smooth cells. False if that are not all; then is_smooth() tells.
static inline bool softmax_by_nodes(const UpsampleArgs& args, const UpsampleBand& band,
                                    const UpsampleScratch& scratch) {
  // The last vector of cells may overlap the one before.
  const auto for_each_vector = [&](auto body) {
    for (std::int64_t x = 0; x < args.width; x += kLanes) {
      body(x < args.width - kLanes ? x : args.width - kLanes);
    }
  };
  ClassList list = {scratch.classes};
  bool are_smooth = true;
  for_each_vector([&](std::int64_t first) {
    const std::int64_t last = first + kLanes < args.width ? first + kLanes : args.width - 1;
    list_classes(args, band, first, last, list);
    are_smooth &= find_denominators(args, band, list, first, scratch);
  });
  Factors row_factors[kMaxBandRows];
  find_row_factors(band, row_factors);
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    for_each_vector([&](std::int64_t first) {
      find_polynomials(args, band, args.out.planes[p].label, first, scratch);
    });
    for_each_block(args, [&](const Block& block) {
      if (are_smooth || is_smooth(scratch, block)) {
        write_smooth_block(args, band, block, p, row_factors, scratch);
      }
    });
  }
  return are_smooth;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
