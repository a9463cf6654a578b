// Softmax of a block of upsampled logits with two exponentials per class instead of one per pixel.
// In docs/kernels.md: the second of the three ways, "By ratios".
#pragma once

#include "kernels/postprocess/class_list.h"
#include "kernels/postprocess/map_writing.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Powers are kept within e^-kDeepest and e^kMaxLabelGap: a class that is held at -kDeepest in one
// row and less than kSteepest above that in the other weighs next to nothing in both. One that
// changes by more within a band is too steep for a geometric sequence.
inline constexpr float kSteepest = 36.0F;

// Adds kClasses geometric sequences, each a vector of powers in the first row and one of ratios of
// every row to the one before, to the sums of the rows.
template <int kClasses>
static inline void add_to_rows(const float* slots, const std::int32_t* classes, std::int64_t rows,
                               F32* sums) {
  F32 power[kClasses];
  F32 ratio[kClasses];
  // Unrolled, they stay in registers.
#pragma GCC unroll 8
  for (int k = 0; k < kClasses; ++k) {
    const float* slot = slots + 2 * kLanes * classes[k];
    power[k] = load<F32>(slot);
    ratio[k] = load<F32>(slot + kLanes);
  }
  for (std::int64_t j = 0; j < rows; ++j) {
    F32 sum = sums[j];
#pragma GCC unroll 8
    for (int k = 0; k + 1 < kClasses; k += 2) sum += power[k] + power[k + 1];
    if (kClasses % 2 != 0) sum += power[kClasses - 1];
    sums[j] = sum;
#pragma GCC unroll 8
    for (int k = 0; k < kClasses; ++k) power[k] *= ratio[k];
  }
}

// e to the slots of the listed classes.
static inline void exponentiate_slots(float* slots, const ClassList& list) {
  constexpr int kTogether = kLanes == 16 ? 4 : 2;  // classes, as the registers allow
  std::int64_t i = 0;
  for (; i + kTogether <= list.count; i += kTogether) {
    F32 x[2 * kTogether];
#pragma GCC unroll 8
    for (int k = 0; k < 2 * kTogether; ++k) {
      x[k] = load<F32>(slots + (2 * list.classes[i + k / 2] + k % 2) * kLanes);
    }
    exp_in_range(x);
#pragma GCC unroll 8
    for (int k = 0; k < 2 * kTogether; ++k) {
      store(slots + (2 * list.classes[i + k / 2] + k % 2) * kLanes, x[k]);
    }
  }
  for (; i < list.count; ++i) {
    float* slot = slots + 2 * kLanes * list.classes[i];
    F32 x[2] = {load<F32>(slot), load<F32>(slot + kLanes)};
    exp_in_range(x);
    store(slot, x[0]);
    store(slot + kLanes, x[1]);
  }
}

// Down a column every logit is a straight line, so its powers at evenly spaced rows are a geometric
// sequence: two exponentials per class and band, then one multiplication per row. False if the
// band is too steep for that; then nothing has been written.
[[gnu::noinline]] static bool softmax_by_ratios(const UpsampleArgs& args, const UpsampleBand& band,
                                                const ColumnBlock& whole_block,
                                                const ClassList& list, std::int32_t steady,
                                                float* slots) {
  const ColumnBlock block = whole_block;  // a copy is known not to change with the stores below
  const SourceRows source = source_rows(args, band);
  const std::int64_t rows = band.rows;
  const F32 first_fraction = broadcast(args.y_fraction[band.y]);
  const F32 last_fraction = broadcast(args.y_fraction[band.y + rows - 1]);
  const F32 per_step = broadcast(1.0F / static_cast<float>(rows - 1));
  const LogitRamp reference = ramp_of_class(source, block, steady);
  F32 steepest = {};
  for (std::int64_t i = 0; i < list.count; ++i) {
    const std::int32_t c = list.classes[i];
    const LogitRamp ramp = ramp_of_class(source, block, c) - reference;
    const F32 from = at_least(-kDeepest, at_fraction(ramp, first_fraction));
    const F32 to = at_least(-kDeepest, at_fraction(ramp, last_fraction));
    const F32 change = to - from;
    steepest = max((F32)((I32)change & 0x7FFFFFFF), steepest);
    store(slots + 2 * kLanes * c, from);
    store(slots + 2 * kLanes * c + kLanes, change * per_step);
  }
  if (any(steepest > kSteepest)) return false;
  exponentiate_slots(slots, list);

  constexpr int kTogether = kLanes == 16 ? 8 : 4;  // as the registers allow
  F32 sums[kMaxBandRows];
  for (std::int64_t j = 0; j < rows; ++j) sums[j] = F32{};
  std::int64_t i = 0;
  for (; i + kTogether <= list.count; i += kTogether) {
    add_to_rows<kTogether>(slots, list.classes + i, rows, sums);
  }
  if (i + 4 <= list.count) {
    add_to_rows<4>(slots, list.classes + i, rows, sums);
    i += 4;
  }
  const std::int32_t* rest = list.classes + i;
  if (i + 3 == list.count) add_to_rows<3>(slots, rest, rows, sums);
  if (i + 2 == list.count) add_to_rows<2>(slots, rest, rows, sums);
  if (i + 1 == list.count) add_to_rows<1>(slots, rest, rows, sums);
  for (std::int64_t j = 0; j < rows; ++j) sums[j] = 1.0F / sums[j];

  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const float* slot = slots + 2 * kLanes * args.out.planes[p].label;
    F32 power = load<F32>(slot);
    const F32 ratio = load<F32>(slot + kLanes);
    write_map(args, band, block, p, [&](auto map) {
      for (std::int64_t j = 0; j < rows; ++j) {
        map.put(power * sums[j]);
        power *= ratio;
      }
    });
  }
  return true;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
