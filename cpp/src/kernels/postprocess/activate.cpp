// Model size: maximum, label, softmax and the planes asked for, from one pass over memory; the
// second and third look at a group of pixels find it in the first-level cache.
#include "kernels/postprocess/pixel_vectors.h"
#include "kernels/postprocess/postprocess_kernels.h"
#include "kernels/postprocess/shares.h"
#include "kernels/postprocess/top_class.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

struct ManyChannels {
  const ActivateArgs& args;

  template <int kVectors, typename Load>
  void run(std::int64_t at, Load load_, std::int64_t lanes) const {
    const ClassPlanes& logits = args.logits;
    const TopClass<kVectors> top = top_class<kVectors>(logits, at - args.first, load_);
    I32 bad[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      bad[v] = top.magnitude[v] >= kInfinityBits;
      store_labels(args.out, at + v * kLanes, bad[v] ? I32{} : top.label[v], lanes);
    }
    if (args.out.plane_count == 0) return;
    const float equal = equal_share(logits);
    F32 scale[kVectors];  // 1 / denominator, or NaN
    if (args.activation == Activation::kSoftmax) {
      F32 sum[kVectors] = {};
      for (std::int64_t c = 0; c < logits.channels; ++c) {
        const float* from = logits.data + c * logits.plane_size + at - args.first;
        F32 power[kVectors];
        for (int v = 0; v < kVectors; ++v) {
          power[v] = at_least(kExpMin, load_(from + v * kLanes) - top.best[v]);
        }
        exp_in_range(power);
        for (int v = 0; v < kVectors; ++v) sum[v] += power[v];
      }
      for (int v = 0; v < kVectors; ++v) scale[v] = bad[v] ? broadcast(kNaN) : 1.0F / sum[v];
    } else if (args.activation == Activation::kNormalise) {
      mean_score<kVectors>(logits, at - args.first, load_, scale);
      for (int v = 0; v < kVectors; ++v) {
        scale[v] = bad[v] ? broadcast(kNaN) : share_scale(scale[v], equal);
      }
    } else {
      for (int v = 0; v < kVectors; ++v) scale[v] = bad[v] ? broadcast(kNaN) : broadcast(1.0F);
    }
    for (std::int64_t p = 0; p < args.out.plane_count; ++p) {
      const PlaneOut& plane = args.out.planes[p];
      const float* from = logits.data + plane.label * logits.plane_size + at - args.first;
      for (int v = 0; v < kVectors; ++v) {
        F32 value = load_(from + v * kLanes);
        if (args.activation == Activation::kSoftmax) value = exp(value - top.best[v]);
        value = args.activation == Activation::kNormalise ? share_of(value, scale[v], equal)
                                                          : value * scale[v];
        store_part(plane.data + at + v * kLanes, value, lanes);
      }
    }
  }
};

struct OneChannel {
  const ActivateArgs& args;

  template <int kVectors, typename Load>
  void run(std::int64_t at, Load load_, std::int64_t lanes) const {
    for (int v = 0; v < kVectors; ++v, at += kLanes) {
      const F32 x = load_(args.logits.data + at - args.first);
      const I32 bad = ((I32)x & 0x7FFFFFFF) >= kInfinityBits;
      const F32 p = bad ? broadcast(kNaN) : own_probability(args.activation, x);
      store_labels(args.out, at, one_channel_label(p), lanes);
      for (std::int64_t i = 0; i < args.out.plane_count; ++i) {
        const PlaneOut& plane = args.out.planes[i];
        store_part(plane.data + at, plane.label == 0 ? p : 1.0F - p, lanes);
      }
    }
  }
};

}  // namespace

void exp_of_array(const float* x, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t lanes = n - i < kLanes ? n - i : kLanes;
    store_part(y + i, exp(load_part(x + i, lanes)), lanes);
  }
}

void activate(const ActivateArgs& args, std::int64_t begin, std::int64_t end) {
  if (args.logits.channels == 1) {
    for_each_group(begin, end, OneChannel{args});
  } else {
    for_each_group(begin, end, ManyChannels{args});
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
