// Probability maps of upsampled logits, one vector of columns by one band of rows at a time. In
// docs/kernels.md: "Probabilities: three ways, and who chooses"; this file is who.
#include "kernels/postprocess/map_writing.h"
#include "kernels/postprocess/shares.h"
#include "kernels/postprocess/softmax_by_nodes.h"
#include "kernels/postprocess/softmax_by_pixels.h"
#include "kernels/postprocess/softmax_by_ratios.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// Lists are made for more columns than one block's, to be made less often.
constexpr std::int64_t kListedColumns = 32;

void list_classes_near(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
                       ClassList& list) {
  std::int64_t last = block.first + kListedColumns - 1;
  if (last < block.last) last = block.last;
  if (last > args.width - 1) last = args.width - 1;
  list_classes(args, band, block.first, last, list);
}

bool is_steady(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
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
std::int32_t steady_label(const UpsampleArgs& args, const UpsampleBand& band,
                          const ColumnBlock& block, const std::int32_t* run_ends) {
  const std::int32_t first = args.labels[band.upper * args.width + block.first];
  if (run_ends[block.first] > block.last) return first;
  if (is_steady(args, band, block, first)) return first;
  const std::int32_t last = args.labels[band.lower * args.width + block.last];
  return is_steady(args, band, block, last) ? last : -1;
}

void list_all_classes(const UpsampleArgs& args, ClassList& list) {
  list.last = list.first - 1;  // of no columns: the next block makes its own
  for (list.count = 0; list.count < args.logits.channels; ++list.count) {
    list.classes[list.count] = static_cast<std::int32_t>(list.count);
  }
}

// Of labels that do not exclude each other: the greatest logit of all but the last class, which is
// "none of them".
F32 greatest_logit(const UpsampleArgs& args, const SourceRows& source, const ColumnBlock& block,
                   F32 fraction) {
  F32 greatest = at_fraction(ramp_of_class(source, block, 0), fraction);
  for (std::int64_t c = 1; c + 1 < args.logits.channels; ++c) {
    const F32 value = at_fraction(ramp_of_class(source, block, c), fraction);
    greatest = value > greatest ? value : greatest;
  }
  return greatest;
}

// No denominator: one channel, each by itself, or probabilities already.
[[gnu::noinline]] void maps_without_denominator(const UpsampleArgs& args, const UpsampleBand& band,
                                                const ColumnBlock& block) {
  const I32 bad = nonfinite_lanes(args, band, block);
  const SourceRows source = source_rows(args, band);
  const std::int64_t rows = band.rows;
  const float* fractions = args.y_fraction + band.y;
  const bool one_channel = args.logits.channels == 1;
  const bool each_by_itself = !one_channel && args.activation == Activation::kSigmoid;
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const std::int64_t label = args.out.planes[p].label;
    const bool none_of_them = each_by_itself && label == args.logits.channels - 1;
    const bool complement = none_of_them || (one_channel && label == 1);
    const LogitRamp ramp = ramp_of_class(source, block, one_channel ? 0 : label);
    if (args.activation == Activation::kNone && !complement && !args.has_nonfinite) {
      write_map(args, band, block, p, [&](auto map) {
        for (std::int64_t j = 0; j < rows; ++j) map.put(at_fraction(ramp, broadcast(fractions[j])));
      });
      continue;
    }
    write_map(args, band, block, p, [&](auto map) {
      for (std::int64_t j = 0; j < rows; ++j) {
        const F32 fraction = broadcast(fractions[j]);
        const F32 logit = none_of_them ? greatest_logit(args, source, block, fraction)
                                       : at_fraction(ramp, fraction);
        const F32 value = own_probability(args.activation, logit);
        map.put(bad ? broadcast(kNaN) : complement ? 1.0F - value : value);
      }
    });
  }
}

// The denominators are interpolated like the scores, and serve all maps.
[[gnu::noinline]] void maps_of_shares(const UpsampleArgs& args, const UpsampleBand& band,
                                      const ColumnBlock& block) {
  const I32 bad = nonfinite_lanes(args, band, block);
  const float equal = equal_share(args.logits);
  const float* fractions = args.y_fraction + band.y;
  const LogitRamp mean = ramp_of_class(
      {args.means + band.upper * args.width, args.means + band.lower * args.width, 0}, block, 0);
  F32 scales[kMaxBandRows];
  for (std::int64_t j = 0; j < band.rows; ++j) {
    const F32 scale = share_scale(at_fraction(mean, broadcast(fractions[j])), equal);
    scales[j] = bad ? broadcast(kNaN) : scale;
  }
  const SourceRows source = source_rows(args, band);
  for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
    const LogitRamp ramp = ramp_of_class(source, block, args.out.planes[p].label);
    write_map(args, band, block, p, [&](auto map) {
      for (std::int64_t j = 0; j < band.rows; ++j) {
        map.put(share_of(at_fraction(ramp, broadcast(fractions[j])), scales[j], equal));
      }
    });
  }
}

// A cell has as many nodes however few pixels lie in it. And a map costs more than by ratios, which
// tells with short vectors where many maps share the denominators.
constexpr std::int64_t kMinColumnsOfCell = 4;
constexpr std::int64_t kMaxMapsByNodes = 10;

bool nodes_are_worth_it(const UpsampleArgs& args, const UpsampleBand& band) {
  const std::int64_t columns = args.target_width / args.width;
  return (kLanes == 16 || args.out.plane_count <= kMaxMapsByNodes) && args.width >= kLanes &&
         (columns >= kMinColumnsOfCell || (columns >= 2 && band.rows >= 2));
}

void softmax_of_block(const UpsampleArgs& args, const UpsampleBand& band, const ColumnBlock& block,
                      const UpsampleScratch& scratch, ClassList& list) {
  const std::int32_t steady = steady_label(args, band, block, scratch.run_ends);
  if (steady < 0) {
    list_all_classes(args, list);
    softmax_by_pixels<false>(args, band, block, list, steady);
    return;
  }
  if (block.first < list.first || block.last > list.last)
    list_classes_near(args, band, block, list);
  // Below three rows the ratios would cost as many exponentials as they save.
  if (band.rows < 3 || !softmax_by_ratios(args, band, block, list, steady, scratch.class_vectors)) {
    softmax_by_pixels<true>(args, band, block, list, steady);
  }
}

}  // namespace

void upsample_maps(const UpsampleArgs& args, const UpsampleBand& band,
                   const UpsampleScratch& scratch) {
  if (args.logits.channels > 1 && args.activation == Activation::kNormalise) {
    if (args.out.plane_count == 0) return;
    for_each_block(args, [&](const ColumnBlock& block) { maps_of_shares(args, band, block); });
    return;
  }
  if (args.logits.channels == 1 || args.activation != Activation::kSoftmax) {
    for_each_block(args,
                   [&](const ColumnBlock& block) { maps_without_denominator(args, band, block); });
    return;
  }
  const bool by_nodes = nodes_are_worth_it(args, band);
  if (by_nodes && softmax_by_nodes(args, band, scratch)) return;
  ClassList list = {scratch.classes};
  for_each_block(args, [&](const ColumnBlock& block) {
    if (by_nodes && is_smooth(scratch, block)) return;
    softmax_of_block(args, band, block, scratch, list);
  });
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
