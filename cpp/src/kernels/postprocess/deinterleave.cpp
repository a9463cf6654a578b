// Channels-last logits to planes, a square of kLanes pixels by kLanes classes at a time.
#include "kernels/common/transpose.h"
#include "kernels/postprocess/postprocess_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

void one_pixel(const DeinterleaveArgs& args, std::int64_t pixel) {
  const float* from = args.data + pixel * args.channels;
  float* to = args.planes + (pixel - args.first);
  for (std::int64_t c = 0; c < args.channels; ++c) to[c * args.plane_size] = from[c];
}

// A square of kClasses classes, from class c of the first pixel's values on: those from `skipped`
// to `end` go to the planes that begin at `to`.
template <int kClasses>
inline void move_square(const DeinterleaveArgs& args, const float* from, std::int64_t skipped,
                        std::int64_t end, float* to) {
  F32 square[kClasses];
  if constexpr (kClasses == kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) square[i] = load<F32>(from + i * args.channels);
    transpose(square);
  } else {
    load_transposed(from, args.channels, square);
  }
#pragma GCC unroll 16
  for (int j = 0; j < kClasses; ++j) {
    if (j < skipped || j >= end) continue;
    store(to, square[j]);
    // Each plane is another page: the hardware foresees none of them.
    __builtin_prefetch(to + 4 * kLanes, 1);
    to += args.plane_size;
  }
}

}  // namespace

void deinterleave(const DeinterleaveArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = args.channels;
  const std::int64_t values = args.pixels * channels;
  std::int64_t at = begin;
  for (; at + kLanes <= end; at += kLanes) {
    // With few classes a load runs into the next pixel: not past the last one.
    const std::int64_t last_row = (at + kLanes - 1) * channels;
    if (last_row + (channels <= kNarrow ? kNarrow : kLanes) > values) break;
    const float* from = args.data + at * channels;
    float* to = args.planes + (at - args.first);
    std::int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      move_square<kLanes>(args, from + c, 0, kLanes, to + c * args.plane_size);
    }
    const std::int64_t left = channels - c;
    if (left == 0) continue;
    to += c * args.plane_size;
    // The last square goes back over classes that are done, to stay inside its pixels.
    if (left <= kNarrow) {
      const std::int64_t back = channels < kNarrow ? 0 : kNarrow - left;
      move_square<kNarrow>(args, from + c - back, back, back + left, to);
    } else {
      const std::int64_t back = channels < kLanes ? 0 : kLanes - left;
      move_square<kLanes>(args, from + c - back, back, back + left, to);
    }
  }
  for (; at < end; ++at) one_pixel(args, at);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
