// Zeroed memory for tensors: aligned for vector loads, and readable a little past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace etseg {

struct FreeDelete {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedBuffer = std::unique_ptr<std::uint8_t[], FreeDelete>;

// Null when there is no memory.
inline AlignedBuffer make_aligned_buffer(std::size_t size) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kReadPadding = 128;  // XNNPACK's kernels may read that far past the end
  const std::size_t padded = (size + kReadPadding + kAlignment - 1) / kAlignment * kAlignment;
  if (padded < size) return nullptr;
  AlignedBuffer buffer(static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, padded)));
  if (buffer) std::memset(buffer.get(), 0, padded);
  return buffer;
}

}  // namespace etseg
