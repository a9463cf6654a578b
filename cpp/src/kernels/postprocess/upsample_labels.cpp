// Labels of upsampled logits. Bilinear weights are convex: a class that is the greatest at all
// source pixels around is the greatest everywhere between them, so most of a segmentation is filled
// and only what lies along its boundaries is computed, from the few classes that can win there. In
// docs/kernels.md: "Labels: dominance".
#include "kernels/postprocess/upsample_block.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

void fill(const UpsampleArgs& args, const UpsampleBand& band, std::int64_t begin, std::int64_t end,
          std::int32_t label) {
  const std::int64_t count = end - begin;
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const std::int64_t at = (band.y + j) * args.target_width + begin;
    if (args.out.labels_are_uint8) {
      __builtin_memset(static_cast<std::uint8_t*>(args.out.labels) + at, label,
                       static_cast<std::size_t>(count));
    } else {
      std::int32_t* to = static_cast<std::int32_t*>(args.out.labels) + at;
      const I32 labels = broadcast_int(label);
      std::int64_t i = 0;
      if (args.past_caches) {
        const auto misplaced = reinterpret_cast<std::uintptr_t>(to) % 64;
        if (misplaced % 4 == 0 && count >= 64) {
          for (; i < static_cast<std::int64_t>((64 - misplaced) % 64 / 4); ++i) to[i] = label;
          for (; i + 16 <= count; i += 16) {
#pragma GCC unroll 4
            for (int v = 0; v < 16; v += kLanes) stream(to + i + v, labels);
          }
        }
      }
      for (; i + kLanes <= count; i += kLanes) store(to + i, labels);
      store_part(to + i, labels, count - i);
    }
  }
}

// ends[x]: where the run of source columns ends that x begins, in which both rows of the band have
// one label; x itself if they differ at x or have none.
void find_runs(const UpsampleArgs& args, const UpsampleBand& band, std::int32_t* ends) {
  const std::int32_t* upper = args.labels + band.upper * args.width;
  const std::int32_t* lower = args.labels + band.lower * args.width;
  std::int32_t end = 0;
  std::int32_t label = kNonFinite;
  for (std::int64_t x = args.width - 1; x >= 0; --x) {
    const bool agree = upper[x] == lower[x] && upper[x] >= 0;
    if (!agree || upper[x] != label) end = static_cast<std::int32_t>(x) + 1;
    label = agree ? upper[x] : kNonFinite;
    ends[x] = agree ? end : static_cast<std::int32_t>(x);
  }
}

constexpr int kMaxRivals = 4;

// Some labels of the block's source pixels; 0 if there are none.
int find_rivals(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
                std::int32_t* rivals) {
  int count = 0;
  const std::int64_t rows[2] = {band.upper, band.lower};
  for (std::int64_t row : rows) {
    for (std::int64_t x = block.first; x <= block.last && count < kMaxRivals; ++x) {
      const std::int32_t label = args.labels[row * args.width + x];
      bool is_new = label >= 0;
      for (int i = 0; i < count; ++i) is_new = is_new && rivals[i] != label;
      if (is_new) rivals[count++] = label;
    }
  }
  return count;
}

// Leaves out every class that one of the rivals beats at all source pixels of the block; at a tie
// the lower index beats the higher.
std::int64_t find_candidates(const UpsampleArgs& args, const UpsampleBand& band,
                             const ColumnBlock& block, std::int32_t* candidates) {
  const std::int64_t channels = args.logits.channels;
  std::int32_t rivals[kMaxRivals];
  const int rival_count =
      block.one_vector && channels > 2 ? find_rivals(args, band, block, rivals) : 0;
  I32 lane = {};
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const I32 inside = (lane >= static_cast<std::int32_t>(block.first - block.base)) &
                     (lane <= static_cast<std::int32_t>(block.last - block.base));
  const float* upper = args.logits.data + band.upper * args.width + block.base;
  const float* lower = args.logits.data + band.lower * args.width + block.base;
  F32 rival_upper[kMaxRivals];
  F32 rival_lower[kMaxRivals];
  for (int i = 0; i < rival_count; ++i) {
    rival_upper[i] = load<F32>(upper + rivals[i] * args.logits.plane_size);
    rival_lower[i] = load<F32>(lower + rivals[i] * args.logits.plane_size);
  }
  std::int64_t count = 0;
  for (std::int32_t c = 0; c < channels; ++c) {
    bool beaten = false;
    if (rival_count > 0) {
      const F32 u = load<F32>(upper + c * args.logits.plane_size);
      const F32 l = load<F32>(lower + c * args.logits.plane_size);
      for (int i = 0; i < rival_count && !beaten; ++i) {
        const I32 resists = rivals[i] < c ? (u > rival_upper[i]) | (l > rival_lower[i])
                                          : (u >= rival_upper[i]) | (l >= rival_lower[i]);
        beaten = !any(resists & inside);
      }
    }
    if (!beaten) candidates[count++] = c;
  }
  return count;
}

void compute(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
             const UpsampleScratch& scratch) {
  const I32 bad = nonfinite_lanes(args, band, block);
  std::int32_t* candidates = scratch.classes;
  const bool one_channel = args.logits.channels == 1;
  std::int64_t count = 1;
  if (one_channel) {
    candidates[0] = 0;
  } else {
    count = find_candidates(args, band, block, candidates);
  }
  const SourceRows source = source_rows(args, band);
  float* ramps = scratch.class_vectors;
  for (std::int64_t i = 0; i < count; ++i) {
    const LogitRamp ramp = ramp_of_class(source, block, candidates[i]);
    store(ramps + 2 * i * kLanes, ramp.start);
    store(ramps + (2 * i + 1) * kLanes, ramp.slope);
  }
  const auto value = [ramps](std::int64_t i, F32 fraction) {
    return at_fraction({load<F32>(ramps + 2 * i * kLanes), load<F32>(ramps + (2 * i + 1) * kLanes)},
                       fraction);
  };
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const F32 fraction = broadcast(args.y_fraction[band.y + j]);
    F32 best = value(0, fraction);
    I32 label = broadcast_int(candidates[0]);
    if (one_channel) label = one_channel_label(own_probability(args.activation, best));
    for (std::int64_t i = 1; i < count; ++i) {
      const F32 v = value(i, fraction);
      const I32 greater = v > best;
      best = greater ? v : best;
      label = greater ? broadcast_int(candidates[i]) : label;
    }
    store_labels(args.out, (band.y + j) * args.target_width + block.x, bad ? I32{} : label,
                 block.lanes);
  }
}

}  // namespace

void upsample_labels(const UpsampleArgs& args, const UpsampleBand& band,
                     const UpsampleScratch& scratch) {
  const std::int32_t* ends = scratch.run_ends;
  find_runs(args, band, scratch.run_ends);
  const std::int64_t width = args.target_width;
  for (std::int64_t x = 0; x < width;) {
    const std::int32_t end = ends[args.left[x]];
    std::int64_t next = x;
    while (next < width && args.right[next + kLanes - 1] < end) next += kLanes;
    if (next > x) {
      fill(args, band, x, next < width ? next : width,
           args.labels[band.upper * args.width + args.left[x]]);
      x = next;
    } else {
      compute(args, band, make_block(args, x), scratch);
      x += kLanes;
    }
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
