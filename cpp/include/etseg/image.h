// The shapes of memory that flow through the core. All are views: they own nothing, and the memory
// must outlive the call they are passed to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace etseg {

// An 8-bit image of any memory layout. The byte of channel c (0 red, 1 green, 2 blue) at row y and
// column x is  data[y * row_stride + x * pixel_stride + channel_offset[c]].  Strides are in bytes
// and may be negative: a sliced, flipped or channel-reversed numpy array is read where it lies.
// A grey image has three equal offsets; a BGR one {2, 1, 0}; an alpha channel is stepped over.
struct ImageView {
  const std::uint8_t* data = nullptr;
  std::int64_t height = 0;  // >= 1
  std::int64_t width = 0;   // >= 1
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t pixel_stride = 3;
  std::array<std::ptrdiff_t, 3> channel_offset = {0, 1, 2};
};

// How a program takes its image: three channels, red first, contiguous.
struct InputFormat {
  bool bytes = false;        // uint8, 0..255; else float32
  bool interleaved = false;  // the channels of a pixel together (HWC); else planes (CHW)
};

// How logits lie in memory. Programs exported in torch's channels_last format emit the second.
enum class LogitsLayout {
  kPlanar,       // class-major: data[(c * height + y) * width + x]
  kInterleaved,  // classes of a pixel together: data[(y * width + x) * channels + c]
};

// Logits or probabilities, contiguous in either layout.
struct LogitsView {
  const float* data = nullptr;
  std::int64_t channels = 0;  // >= 1
  std::int64_t height = 0;    // >= 1
  std::int64_t width = 0;     // >= 1
  LogitsLayout layout = LogitsLayout::kPlanar;
};

// The index of each pixel's label, contiguous: what a program returns that takes the argmax itself,
// or a result's ARGMAX.
struct LabelMapView {
  enum class Type { kUint8, kInt32, kInt64 };
  const void* data = nullptr;
  Type type = Type::kInt64;
  std::int64_t height = 0;  // >= 1
  std::int64_t width = 0;   // >= 1
};

}  // namespace etseg
