// Softmax of a band in its smooth cells: one polynomial per map and cell, however many classes and
// pixels there are. In docs/kernels.md: the first of the three ways, "By nodes: smooth cells".
#pragma once

#include "kernels/postprocess/cell_polynomials.h"
#include "kernels/postprocess/map_writing.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Newton's polynomial from differences d, at u node distances from the first node, nested:
//   d0 + u (d1 + (u - 1) / 2 (d2 + (u - 2) / 3 (d3 + (u - 3) / 4 d4)))
// These are the factors.
struct NewtonFactors {
  F32 factor[kDegree];
};

static inline NewtonFactors factors_at(F32 u) {
  NewtonFactors factors;
  for (int i = 0; i < kDegree; ++i) {
    factors.factor[i] = (u - static_cast<float>(i)) * (1.0F / static_cast<float>(i + 1));
  }
  return factors;
}

// Of the rows of a band, each in all lanes.
static inline void find_row_factors(const UpsampleBand& band, NewtonFactors* rows) {
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const std::int64_t steps = band.rows > 1 ? band.rows - 1 : 1;
    rows[j] = factors_at(broadcast(static_cast<float>(kDegree * j) / static_cast<float>(steps)));
  }
}

// Of map p, whose polynomials there are; at_columns(row) is a row of them at the block's columns.
template <typename AtColumns>
static inline void write_polynomials(const UpsampleArgs& args, const UpsampleBand& band,
                                     const ColumnBlock& block, std::int64_t p,
                                     const NewtonFactors* row_factors,
                                     const UpsampleScratch& scratch, AtColumns at_columns) {
  const NewtonFactors columns = factors_at(block.fraction * static_cast<float>(kDegree));
  const std::int64_t stride = scratch.cell_stride;
  const float* from = polynomials(scratch) + block.base;
  const auto along_row = [&](const float* row) {
    F32 value = at_columns(row);
#pragma GCC unroll 8
    for (int i = kDegree - 1; i >= 0; --i) {
      row += stride;
      // Else all 25 addresses are found first, and there are no registers for them.
      asm("" : "+r"(row));
      value = value * columns.factor[i] + at_columns(row);
    }
    return value;
  };
  write_map(args, band, block, p, [&](auto map) {
    if (band.rows < kNodes) {
      for (std::int64_t j = 0; j < band.rows; ++j) {
        map.put(at_most(1.0F, along_row(from + j * kNodes * stride)));
      }
      return;
    }
    F32 down[kNodes];
#pragma GCC unroll 8
    for (int j = 0; j < kNodes; ++j) down[j] = along_row(from + j * kNodes * stride);
    for (std::int64_t j = 0; j < band.rows; ++j) {
      F32 value = down[kDegree];
#pragma GCC unroll 8
      for (int i = kDegree - 1; i >= 0; --i) value = value * row_factors[j].factor[i] + down[i];
      map.put(at_most(1.0F, value));
    }
  });
}

static inline void write_smooth_block(const UpsampleArgs& args, const UpsampleBand& band,
                                      const ColumnBlock& whole_block, std::int64_t p,
                                      const NewtonFactors* row_factors,
                                      const UpsampleScratch& scratch) {
  const ColumnBlock block = whole_block;
  const I32 cells = block.left;
  if (kLanes == 4 && cells[0] == cells[kLanes - 1]) {
    // Where there is no instruction for it a permutation is slow, and mostly brings one value.
    const int cell = cells[0];
    write_polynomials(args, band, block, p, row_factors, scratch,
                      [cell](const float* row) { return broadcast(row[cell]); });
  } else if (block.one_vector) {
    write_polynomials(args, band, block, p, row_factors, scratch,
                      [cells](const float* row) { return permute(load<F32>(row), cells); });
  } else {
    write_polynomials(args, band, block, p, row_factors, scratch,
                      [cells](const float* row) { return gather(row, cells); });
  }
}

// Are all cells of a block smooth?
static inline bool is_smooth(const UpsampleScratch& scratch, const ColumnBlock& block) {
  const std::int64_t last = block.base + block.left[kLanes - 1];
  for (std::int64_t x = block.first; x <= last; ++x) {
    if (scratch.cell_smooth[x] == 0) return false;
  }
  return true;
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
  const FindPolynomials find = kFindPolynomials[node_rows(args, band).count];
  NewtonFactors row_factors[kMaxBandRows];
  find_row_factors(band, row_factors);
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    for_each_vector(
        [&](std::int64_t first) { find(args, band, args.out.planes[p].label, first, scratch); });
    for_each_block(args, [&](const ColumnBlock& block) {
      if (are_smooth || is_smooth(scratch, block)) {
        write_smooth_block(args, band, block, p, row_factors, scratch);
      }
    });
  }
  return are_smooth;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
