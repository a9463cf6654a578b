// A first look at the source pixels before they are upsampled: the label of each, and which of its
// classes are not negligible beside it.
#include "kernels/postprocess/pixel_vectors.h"
#include "kernels/postprocess/postprocess_kernels.h"
#include "kernels/postprocess/shares.h"
#include "kernels/postprocess/top_class.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// Where a probability of label 0 or a logit surely is at least one half, or surely below; rounding
// while interpolating between two such values moves them by far less than these margins.
struct Decision {
  float label_0_from;
  float label_1_below;
};
Decision decision(Activation activation) {
  switch (activation) {
    case Activation::kSigmoid:
      return {1e-5F, -1e-5F};
    case Activation::kSoftmax:
    case Activation::kNormalise:
      return {-kInfinity, -kInfinity};
    case Activation::kNone:
      break;
  }
  return {0.500001F, 0.499999F};
}

struct Classify {
  const ClassifyArgs& args;
  I32& greatest;  // bits of the greatest absolute value

  template <int kVectors, typename Load>
  void run(std::int64_t at, Load load_, std::int64_t lanes) const {
    const ClassPlanes& logits = args.logits;
    TopClass<kVectors> top = top_class<kVectors>(logits, at, load_);
    for (int v = 0; v < kVectors; ++v) {
      if (logits.channels == 1) {
        const Decision decide = decision(args.activation);
        top.label[v] = top.best[v] >= decide.label_0_from   ? I32{}
                       : top.best[v] < decide.label_1_below ? broadcast_int(1)
                                                            : broadcast_int(kUndecided);
      }
      const I32 bad = top.magnitude[v] >= kInfinityBits;
      store_part(args.labels + at + v * kLanes, bad ? broadcast_int(kNonFinite) : top.label[v],
                 lanes);
      greatest = top.magnitude[v] > greatest ? top.magnitude[v] : greatest;
    }
    if (args.means != nullptr) {
      F32 mean[kVectors];
      mean_score<kVectors>(logits, at, load_, mean);
      for (int v = 0; v < kVectors; ++v) store_part(args.means + at + v * kLanes, mean[v], lanes);
    }
    if (args.active == nullptr) return;
    const float* from = logits.data + at;
    std::uint32_t* to = args.active + at;
    for (int v = 0; v < kVectors; ++v) store_part(args.tops + at + v * kLanes, top.best[v], lanes);
    for (std::int64_t c = 0; c < logits.channels; to += logits.plane_size) {
      I32 word[kVectors] = {};
      const std::int64_t word_end = c + 32 < logits.channels ? c + 32 : logits.channels;
      for (std::uint32_t bit = 1; c < word_end; ++c, bit <<= 1, from += logits.plane_size) {
        const I32 mask = broadcast_int(static_cast<std::int32_t>(bit));
        for (int v = 0; v < kVectors; ++v) {
          word[v] |= (load_(from + v * kLanes) > top.best[v] - args.margin) & mask;
        }
      }
      for (int v = 0; v < kVectors; ++v) {
        store_part(reinterpret_cast<std::int32_t*>(to) + v * kLanes, word[v], lanes);
      }
    }
  }
};

}  // namespace

std::uint32_t classify(const ClassifyArgs& args, std::int64_t begin, std::int64_t end) {
  I32 greatest = {};
  for_each_group(begin, end, Classify{args, greatest});
  std::uint32_t saw = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (greatest[lane] >= kInfinityBits) saw |= kSawNonFinite;
    if (greatest[lane] > kHugeBits) saw |= kSawHuge;
  }
  return saw;
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
