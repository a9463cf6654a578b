#include "preprocess/input_rows.h"

#include <type_traits>

namespace etseg {
namespace {

// Half a byte, and what float32 may have lost of an exact half (preprocess.h).
constexpr float kHalf = 0.5F + 0x1p-11F;

template <typename T, bool kInterleaved>
void store(const float* from, std::int64_t plane_pitch, std::int64_t rows,
           const ResampleTarget& target, std::int64_t y) {
  const std::int64_t width = target.width;
  for (std::int64_t c = 0; c < 3; ++c) {
    const float* row = from + c * plane_pitch;
    T* to = static_cast<T*>(target.out) +
            (kInterleaved ? y * width * 3 + c : (c * target.height + y) * width);
    // Neither in `from` nor in the target is there anything between two rows.
    for (std::int64_t i = 0; i < rows * width; ++i) {
      T& pixel = to[kInterleaved ? 3 * i : i];
      if constexpr (std::is_same_v<T, float>) {
        pixel = row[i];
      } else {
        pixel = static_cast<T>(static_cast<int>(row[i] + kHalf));
      }
    }
  }
}

}  // namespace

void store_rows(const float* from, std::int64_t plane_pitch, std::int64_t rows,
                const ResampleTarget& target, std::int64_t y) {
  if (!target.format.bytes) {
    store<float, true>(from, plane_pitch, rows, target, y);
  } else if (target.format.interleaved) {
    store<std::uint8_t, true>(from, plane_pitch, rows, target, y);
  } else {
    store<std::uint8_t, false>(from, plane_pitch, rows, target, y);
  }
}

}  // namespace etseg
