#include "kernels/resize/bilinear_kernels.h"

#include "kernels/common/simd.h"

namespace etseg::ETSEG_ISA_NAMESPACE {

namespace {

inline std::uint32_t read_channels(const BilinearRow& row, const std::uint8_t* pixel) {
  std::uint32_t word = 0;
  for (int c = 0; c < 3; ++c) {
    word |= static_cast<std::uint32_t>(pixel[row.channel_offset[c]]) << row.channel_shift[c];
  }
  return word;
}

inline void fetch_channels(const BilinearRow& row, std::int64_t begin, std::int64_t end) {
  for (std::int64_t k = begin; k < end; ++k) {
    row.words[k] = read_channels(row, row.above + row.first[k]);
    row.words[k + row.words_pitch] = read_channels(row, row.above + row.second[k]);
    row.words[k + 2 * row.words_pitch] = read_channels(row, row.below + row.first[k]);
    row.words[k + 3 * row.words_pitch] = read_channels(row, row.below + row.second[k]);
  }
}

inline void fetch_words(const BilinearRow& row, std::int64_t begin, std::int64_t end) {
  const std::uint8_t* above = row.above + row.word_offset;
  const std::uint8_t* below = row.below + row.word_offset;
  for (std::int64_t k = begin; k < end; ++k) {
    row.words[k] = load<std::uint32_t>(above + row.first[k]);
    row.words[k + row.words_pitch] = load<std::uint32_t>(above + row.second[k]);
    row.words[k + 2 * row.words_pitch] = load<std::uint32_t>(below + row.first[k]);
    row.words[k + 3 * row.words_pitch] = load<std::uint32_t>(below + row.second[k]);
    if (row.next_above != nullptr) {
      __builtin_prefetch(row.next_above + row.first[k]);
      __builtin_prefetch(row.next_below + row.first[k]);
    }
  }
}

inline void write(float* to, F32 values, std::int64_t left) {
  if (left >= kLanes) {
    store(to, values);
    return;
  }
  float lanes[kLanes];
  store(lanes, values);
  for (std::int64_t i = 0; i < left; ++i) to[i] = lanes[i];
}

inline void blend(const BilinearRow& row) {
  for (std::int64_t k = 0; k < row.width; k += kLanes) {
    U32 words[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) words[i] = load<U32>(row.words + i * row.words_pitch + k);
    const F32 weight = load<F32>(row.weights + k);
    F32 value = {};
#pragma GCC unroll 3
    for (int c = 0; c < 3; ++c) {
      if (c == 0 || !row.grey) {
        F32 tap[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          tap[i] = __builtin_convertvector((I32)((words[i] >> row.channel_shift[c]) & 0xff), F32);
        }
        const F32 above = tap[0] + (tap[1] - tap[0]) * weight;
        const F32 below = tap[2] + (tap[3] - tap[2]) * weight;
        value = above + (below - above) * row.weight;
      }
      write(row.out + c * row.plane_pitch + k, value * row.scale[c] + row.bias[c], row.width - k);
    }
  }
}

}  // namespace

void bilinear_row(const BilinearRow& row) {
  fetch_channels(row, 0, row.word_begin);
  fetch_words(row, row.word_begin, row.word_end);
  fetch_channels(row, row.word_end, row.width);
  blend(row);
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
