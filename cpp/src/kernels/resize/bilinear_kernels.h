// Kernels of the two-tap filter. Of a large image it needs few pixels, so a row of outputs is made
// in two steps: its four taps are fetched, one 32-bit word a pixel, then blended, one lane an
// output.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/isa.h"

namespace etseg {

// One output row. Channel c of a pixel is the byte at channel_offset[c], and goes to bits
// channel_shift[c] and up of its word. Where the channels lie within four bytes that are known to
// belong to the row, for the outputs [word_begin, word_end), all are read at once at word_offset.
struct BilinearRow {
  const std::uint8_t* above;
  const std::uint8_t* below;
  float weight;                    // of `below`
  const std::uint8_t* next_above;  // rows of the next output row, fetched ahead; may be null
  const std::uint8_t* next_below;

  // Of each output column: the byte offsets of its pixels, and the weight of the second. `weights`
  // is padded to whole vectors, as are the words.
  const std::ptrdiff_t* first;
  const std::ptrdiff_t* second;
  const float* weights;
  std::int64_t width;

  std::ptrdiff_t channel_offset[3];
  int channel_shift[3];
  std::int64_t word_begin;
  std::int64_t word_end;
  std::ptrdiff_t word_offset;
  bool grey;  // the channels are one

  std::uint32_t* words;  // scratch: 4 * words_pitch
  std::int64_t words_pitch;
  float scale[3];
  float bias[3];
  float* out;
  std::ptrdiff_t plane_pitch;
};

struct BilinearKernels {
  int lanes;
  void (*row)(const BilinearRow&);
};

namespace ETSEG_ISA_NAMESPACE {

void bilinear_row(const BilinearRow&);

}  // namespace ETSEG_ISA_NAMESPACE
}  // namespace etseg
