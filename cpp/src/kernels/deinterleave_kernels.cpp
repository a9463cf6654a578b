// Channels-last logits to planes, a square of kLanes pixels by kLanes classes at a time.
#include "kernels/postprocess_kernels.h"
#include "kernels/transpose.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

void one_pixel(const DeinterleaveArgs& args, std::int64_t pixel) {
  const float* from = args.data + pixel * args.channels;
  float* to = args.planes + (pixel - args.first);
  for (std::int64_t c = 0; c < args.channels; ++c) to[c * args.plane_size] = from[c];
}

}  // namespace

void deinterleave(const DeinterleaveArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = args.channels;
  std::int64_t at = begin;
  for (; at + kLanes <= end; at += kLanes) {
    // With fewer classes than lanes a load runs into the next pixel: not past the last one.
    const std::int64_t last_load = (at + kLanes - 1) * channels + kLanes;
    if (last_load > args.pixels * channels && channels < kLanes) break;
    for (std::int64_t done = 0; done < channels; done += kLanes) {
      // The last square goes back over classes that are done, to stay inside its pixels.
      const std::int64_t left = channels - done;
      const std::int64_t c = left >= kLanes || channels < kLanes ? done : channels - kLanes;
      F32 square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        square[i] = load<F32>(args.data + (at + i) * channels + c);
      }
      transpose(square);
      float* to = args.planes + done * args.plane_size + (at - args.first);
      const std::int64_t rows = left < kLanes ? left : kLanes;
      for (std::int64_t row = 0; row < rows; ++row, to += args.plane_size) {
        store(to, square[done - c + row]);
      }
    }
  }
  for (; at < end; ++at) one_pixel(args, at);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
