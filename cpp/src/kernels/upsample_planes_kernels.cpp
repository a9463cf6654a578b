// Probability maps of upsampled logits, one vector of columns by one band of rows at a time.
#include "kernels/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// Two vectors of scratch per class: its line first, later the start and the ratio of its powers.
float* slot(const UpsampleScratch& scratch, std::int64_t c) {
  return scratch.vectors + 2 * c * kLanes;
}

bool is_active_anywhere(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                        std::int64_t word, std::uint32_t* bits) {
  const std::uint32_t* upper =
      args.active + word * args.logits.plane_size + band.upper * args.width;
  const std::uint32_t* lower =
      args.active + word * args.logits.plane_size + band.lower * args.width;
  std::uint32_t seen = 0;
  for (std::int64_t x = block.first; x <= block.last; ++x) seen |= upper[x] | lower[x];
  *bits = seen;
  return seen != 0;
}

// Is there a label that is nowhere in the block far below the greatest class?
bool has_steady_label(const UpsampleArgs& args, const UpsampleBand& band, const Block& block) {
  const std::int32_t steady = args.labels[band.upper * args.width + block.first];
  if (steady < 0) return false;
  const float* candidate = args.logits.data + steady * args.logits.plane_size;
  const std::int64_t rows[2] = {band.upper, band.lower};
  for (std::int64_t row : rows) {
    for (std::int64_t x = block.first; x <= block.last; ++x) {
      const std::int64_t at = row * args.width + x;
      const std::int32_t label = args.labels[at];
      if (label == steady) continue;
      if (label < 0) return false;
      if (args.logits.data[label * args.logits.plane_size + at] - candidate[at] > kMaxLabelGap) {
        return false;
      }
    }
  }
  return true;
}

// The classes that count in the block's denominators, and those asked for.
std::int64_t find_classes(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                          std::int32_t* classes) {
  const std::int64_t channels = args.logits.channels;
  std::int64_t count = 0;
  if (args.active == nullptr || !block.one_vector || !has_steady_label(args, band, block)) {
    for (; count < channels; ++count) classes[count] = static_cast<std::int32_t>(count);
    return count;
  }
  for (std::int64_t word = 0; word * 32 < channels; ++word) {
    std::uint32_t bits = 0;
    is_active_anywhere(args, band, block, word, &bits);
    for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
      const std::int64_t label = args.out.planes[p].label;
      if (label / 32 == word) bits |= std::uint32_t{1} << (label % 32);
    }
    for (; bits != 0; bits &= bits - 1) {
      classes[count++] = static_cast<std::int32_t>(word * 32 + __builtin_ctz(bits));
    }
  }
  return count;
}

void store_plane(const UpsampleArgs& args, const UpsampleBand& band, const Block& block, float* to,
                 std::int64_t j, F32 value) {
  store_part(to + (band.y + j) * args.target_width + block.x, value, block.lanes);
}

// Bounds of the geometric way below. Powers are kept within e^+-kDeepest. A class that goes from
// below -kDeepest to above -kShallow within a band is too steep for it; otherwise one that is held
// at -kDeepest weighs less than e^-kShallow, which beside a denominator of kLeastSum is nothing.
constexpr float kDeepest = 64.0F;
constexpr float kShallow = 32.0F;
constexpr float kLeastSum = 4.5e-5F;

// Down a column every logit is a straight line, so its powers at evenly spaced rows are a geometric
// sequence: two exponentials per class and band, then one multiplication per row. Powers are taken
// relative to the line between the greatest logits of the first row and of the last.
// False if the band is too steep; then nothing has been written.
bool softmax_by_ratios(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                       const UpsampleScratch& scratch, std::int64_t count, I32 bad) {
  std::int32_t* classes = scratch.classes;
  const F32 first_fraction = broadcast(args.y_fraction[band.y]);
  const F32 last_fraction = broadcast(args.y_fraction[band.y + band.rows - 1]);
  F32 first_top = broadcast(-kInfinity);
  F32 last_top = broadcast(-kInfinity);
  for (std::int64_t i = 0; i < count; ++i) {
    const Line line = line_of_class(args, band, block, classes[i]);
    const F32 first = at_fraction(line, first_fraction);
    const F32 last = at_fraction(line, last_fraction);
    first_top = max(first, first_top);
    last_top = max(last, last_top);
    store(slot(scratch, classes[i]), first);
    store(slot(scratch, classes[i]) + kLanes, last);
  }
  const F32 per_step = broadcast(1.0F / static_cast<float>(band.rows - 1));
  I32 steep = {};
  for (std::int64_t i = 0; i < count; ++i) {
    float* at = slot(scratch, classes[i]);
    const F32 first = load<F32>(at) - first_top;
    const F32 last = load<F32>(at + kLanes) - last_top;
    steep |= (first < -kDeepest) & (last > -kShallow);
    steep |= (last < -kDeepest) & (first > -kShallow);
    const F32 from = max(first, broadcast(-kDeepest));
    const F32 to = max(last, broadcast(-kDeepest));
    store(at, exp_in_range(from));
    store(at + kLanes, exp_in_range((to - from) * per_step));
  }
  if (any(steep)) return false;

  // Four classes at a time, so that the running sums are loaded and stored less often.
  const std::int64_t zero = args.logits.channels;
  store(slot(scratch, zero), F32{});
  store(slot(scratch, zero) + kLanes, F32{});
  for (std::int64_t i = count; i < count + 3; ++i) classes[i] = static_cast<std::int32_t>(zero);
  F32 sums[kMaxBandRows];
  for (std::int64_t i = 0; i < count; i += 4) {
    F32 power[4];
    F32 ratio[4];
    for (int k = 0; k < 4; ++k) {
      power[k] = load<F32>(slot(scratch, classes[i + k]));
      ratio[k] = load<F32>(slot(scratch, classes[i + k]) + kLanes);
    }
    for (std::int64_t j = 0; j < band.rows; ++j) {
      const F32 four = (power[0] + power[1]) + (power[2] + power[3]);
      sums[j] = i == 0 ? four : sums[j] + four;
      for (int k = 0; k < 4; ++k) power[k] *= ratio[k];
    }
  }
  I32 cancelled = {};
  for (std::int64_t j = 0; j < band.rows; ++j) {
    cancelled |= sums[j] < kLeastSum;
    sums[j] = bad ? broadcast(kNaN) : 1.0F / sums[j];
  }
  if (any(cancelled)) return false;
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const float* at = slot(scratch, args.out.planes[p].label);
    F32 power = load<F32>(at);
    const F32 ratio = load<F32>(at + kLanes);
    for (std::int64_t j = 0; j < band.rows; ++j) {
      store_plane(args, band, block, args.out.planes[p].data, j, power * sums[j]);
      power *= ratio;
    }
  }
  return true;
}

// One exponential per class and pixel.
void softmax_by_pixel(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                      const UpsampleScratch& scratch, std::int64_t count, I32 bad) {
  const std::int32_t* classes = scratch.classes;
  for (std::int64_t i = 0; i < count; ++i) {
    const Line line = line_of_class(args, band, block, classes[i]);
    store(slot(scratch, classes[i]), line.start);
    store(slot(scratch, classes[i]) + kLanes, line.slope);
  }
  const auto value = [&scratch](std::int64_t c, F32 fraction) {
    const float* at = slot(scratch, c);
    return at_fraction({load<F32>(at), load<F32>(at + kLanes)}, fraction);
  };
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const F32 fraction = broadcast(args.y_fraction[band.y + j]);
    F32 top = value(classes[0], fraction);
    for (std::int64_t i = 1; i < count; ++i) top = max(value(classes[i], fraction), top);
    F32 sum = {};
    for (std::int64_t i = 0; i < count; ++i) {
      sum += exp_in_range(max(value(classes[i], fraction) - top, broadcast(kExpMin)));
    }
    const F32 scale = bad ? broadcast(kNaN) : 1.0F / sum;
    for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
      const F32 power = exp(value(args.out.planes[p].label, fraction) - top);
      store_plane(args, band, block, args.out.planes[p].data, j, power * scale);
    }
  }
}

// No denominator: one channel, or probabilities already.
void planes_by_themselves(const UpsampleArgs& args, const UpsampleBand& band, const Block& block,
                          I32 bad) {
  const bool one_channel = args.logits.channels == 1;
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const std::int64_t label = args.out.planes[p].label;
    const Line line = line_of_class(args, band, block, one_channel ? 0 : label);
    for (std::int64_t j = 0; j < band.rows; ++j) {
      F32 value = at_fraction(line, broadcast(args.y_fraction[band.y + j]));
      if (one_channel) value = one_channel_probability(args.activation, value);
      if (one_channel && label == 1) value = 1.0F - value;
      store_plane(args, band, block, args.out.planes[p].data, j, bad ? broadcast(kNaN) : value);
    }
  }
}

}  // namespace

void upsample_planes(const UpsampleArgs& args, const UpsampleBand& band,
                     const UpsampleScratch& scratch) {
  for (std::int64_t x = 0; x < args.target_width; x += kLanes) {
    const Block block = make_block(args, x);
    const I32 bad = nonfinite_lanes(args, band, block);
    if (args.logits.channels == 1 || args.activation == PixelActivation::kNone) {
      planes_by_themselves(args, band, block, bad);
      continue;
    }
    const std::int64_t count = find_classes(args, band, block, scratch.classes);
    // Below three rows the ratios would cost as many exponentials as they save.
    if (band.rows < 3 || !softmax_by_ratios(args, band, block, scratch, count, bad)) {
      softmax_by_pixel(args, band, block, scratch, count, bad);
    }
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
