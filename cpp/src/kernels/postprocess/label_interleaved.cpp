// Labels of channels-last logits in one pass over memory: classes meet in registers, a square of
// kLanes pixels by a few classes at a time; no plane is written.
#include "kernels/common/transpose.h"
#include "kernels/postprocess/pixel_vectors.h"
#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// Of a vector of pixels, over the classes seen so far.
struct Leader {
  F32 best = broadcast(-kInfinity);
  I32 label = {};
  F32 tainted = {};  // NaN where a class was not finite, else zero
};

struct Winner {
  F32 best;
  I32 label;
};

// The greatest of kClasses classes and its index among them, the lowest of equals. A knockout: its
// rounds are few and their matches independent, where one pass would wait for each comparison.
template <int kClasses>
inline Winner knockout(const F32* classes) {
  if constexpr (kClasses == 1) {
    return {classes[0], I32{}};
  } else {
    const Winner a = knockout<kClasses / 2>(classes);
    const Winner b = knockout<kClasses / 2>(classes + kClasses / 2);
    const I32 greater = b.best > a.best;
    return {greater ? b.best : a.best, greater ? b.label + kClasses / 2 : a.label};
  }
}

// Classes c to c + rows of `from`, the first of the pixels. A class may be seen twice: it cannot
// beat itself.
template <int kClasses>
inline void meet(const float* from, std::int64_t pitch, std::int64_t c, std::int64_t rows,
                 Leader& leader) {
  F32 square[kClasses];
  if constexpr (kClasses == kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) square[i] = load<F32>(from + i * pitch + c);
    transpose(square);
  } else {
    load_transposed(from + c, pitch, square);
  }
  if (rows < kClasses) {  // what follows is the next pixel's
#pragma GCC unroll 16
    for (int j = 1; j < kClasses; ++j) square[j] = j < rows ? square[j] : square[0];
  }
  F32 tainted[4] = {};
#pragma GCC unroll 16
  for (int j = 0; j < kClasses; ++j) tainted[j % 4] += square[j] * 0.0F;
  leader.tainted += (tainted[0] + tainted[1]) + (tainted[2] + tainted[3]);
  const Winner winner = knockout<kClasses>(square);
  const I32 greater = winner.best > leader.best;
  leader.best = greater ? winner.best : leader.best;
  leader.label = greater ? winner.label + static_cast<std::int32_t>(c) : leader.label;
}

void one_pixel(const InterleavedArgs& args, std::int64_t pixel) {
  const float* from = args.data + pixel * args.channels;
  std::int32_t label = 0;
  bool bad = false;
  for (std::int64_t c = 0; c < args.channels; ++c) {
    bad = bad || from[c] - from[c] != 0;
    if (from[c] > from[label]) label = static_cast<std::int32_t>(c);
  }
  store_labels(args.out, pixel, broadcast_int(bad ? 0 : label), 1);
}

}  // namespace

void label_interleaved(const InterleavedArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = args.channels;
  const std::int64_t values = args.pixels * channels;
  std::int64_t at = begin;
  for (; at + kLanes <= end; at += kLanes) {
    // With few classes a load runs into the next pixel: not past the last one.
    const std::int64_t last_row = (at + kLanes - 1) * channels;
    if (last_row + (channels <= kNarrow ? kNarrow : kLanes) > values) break;
    const float* from = args.data + at * channels;
    Leader leader;
    std::int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      meet<kLanes>(from, channels, c, kLanes, leader);
    }
    const std::int64_t left = channels - c;
    if (left > 0) {
      // The last square goes back over classes that were met, to stay inside its pixels.
      if (left <= kNarrow) {
        const std::int64_t back = channels < kNarrow ? 0 : kNarrow - left;
        meet<kNarrow>(from, channels, c - back, left + back, leader);
      } else {
        const std::int64_t back = channels < kLanes ? 0 : kLanes - left;
        meet<kLanes>(from, channels, c - back, left + back, leader);
      }
    }
    const I32 bad = leader.tainted != leader.tainted;
    store_labels(args.out, at, bad ? I32{} : leader.label, kLanes);
  }
  for (; at < end; ++at) one_pixel(args, at);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
