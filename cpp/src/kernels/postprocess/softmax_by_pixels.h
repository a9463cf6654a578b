// Softmax of a block of upsampled logits with one exponential per class and pixel: right for all
// logits. In docs/kernels.md: the third of the three ways.
#pragma once

#include "kernels/postprocess/class_list.h"
#include "kernels/postprocess/map_writing.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

// Without a steady label, relative to the greatest class of
// each pixel, which takes another look at the classes.
template <bool kSteady>
[[gnu::noinline]] static void softmax_by_pixels(const UpsampleArgs& args, const UpsampleBand& band,
                                                const ColumnBlock& whole_block,
                                                const ClassList& list, std::int32_t steady) {
  const ColumnBlock block = whole_block;
  const SourceRows source = source_rows(args, band);
  const float* fractions = args.y_fraction + band.y;
  LogitRamp reference = {};
  F32 sums[kMaxBandRows] = {};
  F32 tops[kMaxBandRows];
  if (kSteady) {
    reference = ramp_of_class(source, block, steady);
  } else {
    for (std::int64_t j = 0; j < band.rows; ++j) tops[j] = broadcast(-kInfinity);
    for (std::int64_t i = 0; i < list.count; ++i) {
      const LogitRamp ramp = ramp_of_class(source, block, list.classes[i]);
      for (std::int64_t j = 0; j < band.rows; ++j) {
        tops[j] = max(at_fraction(ramp, broadcast(fractions[j])), tops[j]);
      }
    }
  }
  const auto relative = [&](LogitRamp ramp, std::int64_t j) {
    const F32 value = at_fraction(ramp, broadcast(fractions[j]));
    return kSteady ? value : value - tops[j];
  };
  for (std::int64_t i = 0; i < list.count; ++i) {
    const LogitRamp ramp = ramp_of_class(source, block, list.classes[i]) - reference;
    for (std::int64_t j = 0; j < band.rows; ++j) {
      sums[j] += exp_in_range(at_least(kExpMin, relative(ramp, j)));
    }
  }
  const I32 bad = kSteady ? I32{} : nonfinite_lanes(args, band, block);
  for (std::int64_t j = 0; j < band.rows; ++j) {
    sums[j] = bad ? broadcast(kNaN) : 1.0F / sums[j];
  }
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const LogitRamp ramp = ramp_of_class(source, block, args.out.planes[p].label) - reference;
    write_map(args, band, block, p, [&](auto map) {
      for (std::int64_t j = 0; j < band.rows; ++j) map.put(exp(relative(ramp, j)) * sums[j]);
    });
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
