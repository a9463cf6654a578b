// The horizontal half of antialias_kernels.h.
#include "kernels/common/simd.h"
#include "kernels/common/transpose.h"
#include "kernels/resize/antialias_kernels.h"

namespace etseg::ETSEG_ISA_NAMESPACE {
namespace {

// Elements [begin, end) of every run, both multiples of 4 * kLanes: lane r of element e of a run
// comes from row r.
inline void transpose_elements(const RowBlock& block, std::int64_t begin, std::int64_t end) {
  float* tile = block.tile;
  for (int run = 0; run < block.runs; ++run, tile += (end - begin) * kLanes) {
    const float* rows = block.rows + run * block.run_pitch;
    for (std::int64_t at = begin; at < end; at += kLanes) {
      F32 m[kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) m[r] = load<F32>(rows + r * block.row_pitch + at);
      transpose(m);
      const std::int64_t group = (at - begin) / (4 * kLanes) * (4 * kLanes);
      float* to = tile + (group + (at - begin - group) / kLanes) * kLanes;
#pragma GCC unroll 16
      for (int l = 0; l < kLanes; ++l) store(to + 4 * l * kLanes, m[l]);
    }
  }
}

struct ChannelOffsets {
  std::ptrdiff_t at[3];
};

inline ChannelOffsets channel_offsets(const RowBlock& block, std::int64_t columns) {
  ChannelOffsets offsets = {};
  for (int c = 0; c < block.channels; ++c) {
    const std::ptrdiff_t run = block.runs == 1 ? 0 : c * columns * block.step;
    offsets.at[c] = (run + block.channel_offset[c]) * kLanes;
  }
  return offsets;
}

template <int kChannels>
inline void shrink_tile(const RowBlock& block, std::int64_t begin, std::int64_t end,
                        const std::int32_t* segment_end, const float* t, ShrinkState* state,
                        float* sums) {
  const ChannelOffsets offsets = channel_offsets(block, tile_columns(kLanes));
  const std::ptrdiff_t step = block.step * kLanes;
  const float* column = block.tile;
  // Sums of one tile stay apart from those of the tiles before: long sums of floats lose bits.
  F32 current[kChannels], next[kChannels], sum[kChannels] = {}, weighted[kChannels] = {};
  for (int c = 0; c < kChannels; ++c) {
    current[c] = load<F32>(state->current[c]);
    next[c] = load<F32>(state->next[c]);
  }
  std::int64_t k = state->segment;
  for (std::int64_t x = begin;;) {
    const std::int64_t stop = segment_end[k] < end ? segment_end[k] : end;
    for (; x < stop; ++x, column += step) {
#pragma GCC unroll 3
      for (int c = 0; c < kChannels; ++c) {
        const F32 value = load<F32>(column + offsets.at[c]);
        sum[c] += value;
        weighted[c] += value * t[x];
      }
    }
    const bool segment_done = stop == segment_end[k];
#pragma GCC unroll 3
    for (int c = 0; c < kChannels; ++c) {
      current[c] += sum[c] - weighted[c];
      next[c] += weighted[c];
      sum[c] = weighted[c] = F32{};
      if (segment_done) {
        store(sums + ((k - 1) * 3 + c) * kLanes, current[c]);
        current[c] = next[c];
        next[c] = F32{};
      }
    }
    if (!segment_done) break;
    ++k;
  }
  state->segment = k;
  for (int c = 0; c < kChannels; ++c) {
    store(state->current[c], current[c]);
    store(state->next[c], next[c]);
  }
}

}  // namespace

void shrink_columns(const RowBlock& block, const std::int32_t* segment_end, const float* t,
                    ShrinkState* state, float* sums) {
  constexpr std::int64_t kColumns = tile_columns(kLanes);
  for (std::int64_t x = block.x_begin; x < block.x_end; x += kColumns) {
    const std::int64_t at = (x - block.x_begin) * block.step;
    transpose_elements(block, at, at + kColumns * block.step);
    const std::int64_t end = x + kColumns < block.x_end ? x + kColumns : block.x_end;
    if (block.channels == 3) {
      shrink_tile<3>(block, x, end, segment_end, t, state, sums);
    } else {
      shrink_tile<1>(block, x, end, segment_end, t, state, sums);
    }
  }
}

void stretch_columns(const RowBlock& block, const std::int32_t* first, const std::int32_t* second,
                     const float* weight, std::int64_t outputs, float* sums) {
  constexpr std::int64_t kColumns = tile_columns(kLanes);
  const std::int64_t columns = (block.x_end + kColumns - 1) / kColumns * kColumns;
  transpose_elements(block, 0, columns * block.step);
  const ChannelOffsets offsets = channel_offsets(block, columns);
  const std::ptrdiff_t step = block.step * kLanes;
  for (std::int64_t k = 0; k < outputs; ++k) {
    for (int c = 0; c < block.channels; ++c) {
      const F32 a = load<F32>(block.tile + first[k] * step + offsets.at[c]);
      const F32 b = load<F32>(block.tile + second[k] * step + offsets.at[c]);
      store(sums + (k * 3 + c) * kLanes, a + (b - a) * weight[k]);
    }
  }
}

namespace {

// Columns k to k + kLanes of one channel of the sums, as rows of the result before the scale.
inline void load_block(const RowBlockResult& block, int channel, std::int64_t k, F32 (&m)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    m[i] = load<F32>(block.sums + ((k + i) * 3 + channel) * kLanes);
  }
  transpose(m);
}

// Writes what is no whole square in its place: `values` are its rows.
[[gnu::noinline]] void write_part(const RowBlockResult& block, const float* values, std::int64_t k,
                                  int plane, const float* row_scale) {
  const std::int64_t left = block.width - k;
  const int count = left < kLanes ? static_cast<int>(left) : kLanes;
  for (int r = 0; r < block.rows; ++r) {
    float* row = block.out + plane * block.plane_pitch + r * block.width;
    const F32 result = load<F32>(values + r * kLanes) * row_scale[r] + block.bias[plane];
    float lane[kLanes];
    store(lane, result);
    for (int i = 0; i < count; ++i) {
      row[block.mirrored ? block.width - 1 - k - i : k + i] = lane[i];
    }
  }
}

}  // namespace

void write_block(const RowBlockResult& block) {
  for (int plane = 0; plane < 3; ++plane) {
    const int channel = block.channels == 1 ? 0 : plane;
    float row_scale[kLanes] = {};
    for (int r = 0; r < block.rows; ++r) {
      row_scale[r] = block.scale[plane] * (block.row_norm != nullptr ? block.row_norm[r] : 1.0f);
    }
    for (std::int64_t k = 0; k < block.width; k += kLanes) {
      const F32 column_norm =
          block.column_norm != nullptr ? load<F32>(block.column_norm + k) : broadcast(1.0f);
      F32 m[kLanes];
      load_block(block, channel, k, m);
      if (block.rows == kLanes && k + kLanes <= block.width && !block.mirrored) {
        float* to = block.out + plane * block.plane_pitch + k;
#pragma GCC unroll 16
        for (int r = 0; r < kLanes; ++r, to += block.width) {
          store(to, m[r] * column_norm * row_scale[r] + block.bias[plane]);
        }
        continue;
      }
      float values[kLanes * kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) store(values + r * kLanes, m[r] * column_norm);
      write_part(block, values, k, plane, row_scale);
    }
  }
}

}  // namespace etseg::ETSEG_ISA_NAMESPACE
