// Probability maps of upsampled logits, one vector of columns by one band of rows at a time.
#include "kernels/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// The classes that count in the denominators between some source columns, and those asked for.
struct ClassList {
  std::int32_t* classes;
  std::int64_t count = 0;
  std::int64_t first = 0, last = -1;  // source columns
};

// Lists are made for more columns than one block's, to be made less often.
constexpr std::int64_t kListedColumns = 32;

void list_classes(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                  ClassList& list) {
  list.first = block.first;
  list.last = block.first + kListedColumns - 1;
  if (list.last < block.last) list.last = block.last;
  if (list.last > args.width - 1) list.last = args.width - 1;
  list.count = 0;
  for (std::int64_t word = 0; word * 32 < args.logits.channels; ++word) {
    const std::uint32_t* row = args.active + word * args.logits.plane_size;
    std::uint32_t bits = 0;
    for (std::int64_t x = list.first; x <= list.last; ++x) {
      bits |= row[band.upper * args.width + x] | row[band.lower * args.width + x];
    }
    for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
      const std::int64_t label = args.out.planes[p].label;
      if (label / 32 == word) bits |= std::uint32_t{1} << (label % 32);
    }
    for (; bits != 0; bits &= bits - 1) {
      list.classes[list.count++] = static_cast<std::int32_t>(word * 32 + __builtin_ctz(bits));
    }
  }
}

void list_all_classes(const UpsampleArgs& args, ClassList& list) {
  list.last = list.first - 1;  // of no columns: the next block makes its own
  for (list.count = 0; list.count < args.logits.channels; ++list.count) {
    list.classes[list.count] = static_cast<std::int32_t>(list.count);
  }
}

bool is_steady(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
               std::int32_t label) {
  if (label < 0) return false;
  const float* own = args.logits.data + label * args.logits.plane_size;
  const std::int64_t rows[2] = {band.upper, band.lower};
  for (std::int64_t row : rows) {
    for (std::int64_t x = block.first; x <= block.last; ++x) {
      const std::int64_t at = row * args.width + x;
      const std::int32_t top = args.labels[at];
      if (top == label) continue;
      if (top < 0 || args.logits.data[top * args.logits.plane_size + at] - own[at] > kMaxLabelGap) {
        return false;
      }
    }
  }
  return true;
}

// A label of the block that is nowhere in it far below the greatest class; -1 if there is none.
// Logits relative to it are at most kMaxLabelGap, its own power is 1, and every class that is
// inactive at all source pixels weighs next to nothing beside it.
std::int32_t steady_label(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                          const std::int32_t* run_ends) {
  const std::int32_t first = args.labels[band.upper * args.width + block.first];
  if (run_ends[block.first] > block.last) return first;
  if (is_steady(args, band, block, first)) return first;
  const std::int32_t last = args.labels[band.lower * args.width + block.last];
  return is_steady(args, band, block, last) ? last : -1;
}

// Writes a block of a map from its first row down.
class MapRows {
 public:
  MapRows(const UpsampleArgs& args, const UpsampleBand& band, const Block& block, std::int64_t p)
      : to_(args.out.planes[p].data + band.y * args.target_width + block.x),
        stride_(args.target_width),
        lanes_(block.lanes) {}
  void put(F32 value) {
    store_part(to_, value, lanes_);
    to_ += stride_;
  }

 private:
  float* to_;
  const std::int64_t stride_;
  const std::int64_t lanes_;
};

// Powers are kept within e^-kDeepest and e^kMaxLabelGap: a class that is held at -kDeepest in one
// row and less than kSteepest above that in the other weighs next to nothing in both. One that
// changes by more within a band is too steep for a geometric sequence.
constexpr float kDeepest = 64.0F;
constexpr float kSteepest = 36.0F;

// Adds kClasses sequences, each a vector of powers in the first row and one of ratios of every row
// to the one before, to the sums of the rows.
template <int kClasses>
void add_sequences(const float* slots, const std::int32_t* classes, std::int64_t rows, F32* sums) {
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

// Down a column every logit is a straight line, so its powers at evenly spaced rows are a geometric
// sequence: two exponentials per class and band, then one multiplication per row. False if the
// band is too steep for that; then nothing has been written.
[[gnu::noinline]] bool softmax_by_ratios(const UpsampleArgs& args, const UpsampleBand& band,
                                         const Block& whole_block, const ClassList& list,
                                         std::int32_t steady, float* slots) {
  const Block block = whole_block;  // a copy is known not to change with the stores below
  const SourceRows source = source_rows(args, band);
  const std::int64_t rows = band.rows;
  const F32 first_fraction = broadcast(args.y_fraction[band.y]);
  const F32 last_fraction = broadcast(args.y_fraction[band.y + rows - 1]);
  const F32 per_step = broadcast(1.0F / static_cast<float>(rows - 1));
  const Line reference = line_of_class(source, block, steady);
  F32 steepest = {};
  for (std::int64_t i = 0; i < list.count; ++i) {
    const std::int32_t c = list.classes[i];
    const Line line = line_of_class(source, block, c) - reference;
    const F32 from = at_least(-kDeepest, at_fraction(line, first_fraction));
    const F32 to = at_least(-kDeepest, at_fraction(line, last_fraction));
    const F32 change = to - from;
    steepest = max((F32)((I32)change & 0x7FFFFFFF), steepest);
    store(slots + 2 * kLanes * c, exp_in_range(from));
    store(slots + 2 * kLanes * c + kLanes, exp_in_range(change * per_step));
  }
  if (any(steepest > kSteepest)) return false;

  constexpr int kTogether = kLanes == 16 ? 8 : 4;  // as the registers allow
  F32 sums[kMaxBandRows];
  for (std::int64_t j = 0; j < rows; ++j) sums[j] = F32{};
  std::int64_t i = 0;
  for (; i + kTogether <= list.count; i += kTogether) {
    add_sequences<kTogether>(slots, list.classes + i, rows, sums);
  }
  for (; i + 2 <= list.count; i += 2) add_sequences<2>(slots, list.classes + i, rows, sums);
  for (; i < list.count; ++i) add_sequences<1>(slots, list.classes + i, rows, sums);
  for (std::int64_t j = 0; j < rows; ++j) sums[j] = 1.0F / sums[j];

  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const float* slot = slots + 2 * kLanes * args.out.planes[p].label;
    F32 power = load<F32>(slot);
    const F32 ratio = load<F32>(slot + kLanes);
    MapRows map(args, band, block, p);
    for (std::int64_t j = 0; j < rows; ++j) {
      map.put(power * sums[j]);
      power *= ratio;
    }
  }
  return true;
}

// One exponential per class and pixel. Without a steady label, relative to the greatest class of
// each pixel, which takes another look at the classes.
template <bool kSteady>
[[gnu::noinline]] void softmax_by_pixel(const UpsampleArgs& args, const UpsampleBand& band,
                                        const Block& whole_block, const ClassList& list,
                                        std::int32_t steady) {
  const Block block = whole_block;
  const SourceRows source = source_rows(args, band);
  const float* fractions = args.y_fraction + band.y;
  Line reference = {};
  F32 sums[kMaxBandRows] = {};
  F32 tops[kMaxBandRows];
  if (kSteady) {
    reference = line_of_class(source, block, steady);
  } else {
    for (std::int64_t j = 0; j < band.rows; ++j) tops[j] = broadcast(-kInfinity);
    for (std::int64_t i = 0; i < list.count; ++i) {
      const Line line = line_of_class(source, block, list.classes[i]);
      for (std::int64_t j = 0; j < band.rows; ++j) {
        tops[j] = max(at_fraction(line, broadcast(fractions[j])), tops[j]);
      }
    }
  }
  const auto relative = [&](Line line, std::int64_t j) {
    const F32 value = at_fraction(line, broadcast(fractions[j]));
    return kSteady ? value : value - tops[j];
  };
  for (std::int64_t i = 0; i < list.count; ++i) {
    const Line line = line_of_class(source, block, list.classes[i]) - reference;
    for (std::int64_t j = 0; j < band.rows; ++j) {
      sums[j] += exp_in_range(at_least(kExpMin, relative(line, j)));
    }
  }
  const I32 bad = kSteady ? I32{} : nonfinite_lanes(args, band, block);
  for (std::int64_t j = 0; j < band.rows; ++j) {
    sums[j] = bad ? broadcast(kNaN) : 1.0F / sums[j];
  }
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const Line line = line_of_class(source, block, args.out.planes[p].label) - reference;
    MapRows map(args, band, block, p);
    for (std::int64_t j = 0; j < band.rows; ++j) map.put(exp(relative(line, j)) * sums[j]);
  }
}

// No denominator: one channel, or probabilities already.
[[gnu::noinline]] void planes_by_themselves(const UpsampleArgs& args, const UpsampleBand& band,
                                            const Block& block) {
  const I32 bad = nonfinite_lanes(args, band, block);
  const SourceRows source = source_rows(args, band);
  const std::int64_t rows = band.rows;
  const float* fractions = args.y_fraction + band.y;
  const bool one_channel = args.logits.channels == 1;
  const PixelActivation activation = one_channel ? args.activation : PixelActivation::kNone;
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const std::int64_t label = args.out.planes[p].label;
    const bool complement = one_channel && label == 1;
    const Line line = line_of_class(source, block, one_channel ? 0 : label);
    MapRows map(args, band, block, p);
    if (activation == PixelActivation::kNone && !complement && !args.has_nonfinite) {
      for (std::int64_t j = 0; j < rows; ++j) map.put(at_fraction(line, broadcast(fractions[j])));
      continue;
    }
    for (std::int64_t j = 0; j < rows; ++j) {
      const F32 value =
          one_channel_probability(activation, at_fraction(line, broadcast(fractions[j])));
      map.put(bad ? broadcast(kNaN) : complement ? 1.0F - value : value);
    }
  }
}

}  // namespace

void upsample_planes(const UpsampleArgs& args, const UpsampleBand& band,
                     const UpsampleScratch& scratch) {
  ClassList list = {scratch.classes};
  for (std::int64_t x = 0; x < args.target_width; x += kLanes) {
    const Block block = make_block(args, x);
    if (args.logits.channels == 1 || args.activation == PixelActivation::kNone) {
      planes_by_themselves(args, band, block);
      continue;
    }
    const std::int32_t steady = steady_label(args, band, block, scratch.run_ends);
    if (steady < 0) {
      list_all_classes(args, list);
      softmax_by_pixel<false>(args, band, block, list, steady);
      continue;
    }
    if (block.first < list.first || block.last > list.last) list_classes(args, band, block, list);
    // Below three rows the ratios would cost as many exponentials as they save.
    if (band.rows < 3 || !softmax_by_ratios(args, band, block, list, steady, scratch.vectors)) {
      softmax_by_pixel<true>(args, band, block, list, steady);
    }
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
