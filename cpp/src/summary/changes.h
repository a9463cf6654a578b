// Where two rows of labels differ: a row and the one below it, or a row and itself one pixel on.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace etseg {

// Bytes that are made bits at a time.
inline constexpr std::size_t kBlock = 64;
template <typename T>
inline constexpr std::int64_t kBlockLanes = kBlock / sizeof(T);
// Bytes that are looked at first: mostly nothing changes in so many.
inline constexpr std::size_t kStretch = 256;

// By the system's function: it has the CPU's widest vectors, whatever we are compiled for.
template <typename T>
bool same(const T* a, const T* b, std::int64_t count) {
  return std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof(T)) == 0;
}

// Bit i is set where lane i of the word, counted from the lowest, is not zero.
template <typename T>
std::uint64_t lanes_not_zero(std::uint64_t word) {
  constexpr int kBits = 8 * sizeof(T), kLanes = 8 / sizeof(T);
  constexpr std::uint64_t kOnes = ~std::uint64_t{0} / static_cast<std::make_unsigned_t<T>>(-1);
  constexpr std::uint64_t kHighest = kOnes << (kBits - 1);
  const std::uint64_t highest = (((word & ~kHighest) + ~kHighest) | word) & kHighest;
  // Brought together at the top by a product: lane i goes up by (kLanes - i) * (kBits - 1).
  std::uint64_t product = 0;
  for (int i = 1; i <= kLanes; ++i) product |= std::uint64_t{1} << (i * (kBits - 1));
  return ((highest >> (kBits - 1)) * product) >> (64 - kLanes);
}

// Bit i is set where a[i] != b[i], of a block.
template <typename T>
std::uint64_t changes_in_block(const T* a, const T* b) {
  std::uint64_t changes = 0;
  for (std::int64_t i = kBlockLanes<T>; i > 0;) {
    i -= 8 / sizeof(T);
    std::uint64_t one, other;
    std::memcpy(&one, a + i, sizeof one);
    std::memcpy(&other, b + i, sizeof other);
    changes = changes << (8 / sizeof(T)) | lanes_not_zero<T>(one ^ other);
  }
  return changes;
}

// Calls found(i) for each i below `count` where a[i] != b[i], in ascending order. Where in a block
// that is decides no branch, so that noise is not guessed at pixel by pixel.
template <typename T, typename Found>
void for_each_change(const T* a, const T* b, std::int64_t count, Found&& found) {
  T padded[2][kBlockLanes<T>];
  if (count < kBlockLanes<T>) {
    std::memset(padded, 0, sizeof padded);
    std::copy_n(a, count, padded[0]);
    std::copy_n(b, count, padded[1]);
    a = padded[0];
    b = padded[1];
  }
  constexpr std::int64_t kStretchLanes = kStretch / sizeof(T);
  for (std::int64_t begin = 0; begin < count; begin += kStretchLanes) {
    const std::int64_t end = std::min(begin + kStretchLanes, count);
    if (same(a + begin, b + begin, end - begin)) continue;
    for (std::int64_t i = begin; i < end; i += kBlockLanes<T>) {
      // The last block ends with the row; what it has in common with the one before was found
      // there.
      std::int64_t first = i;
      if (i > 0 && i + kBlockLanes<T> > count) first = count - kBlockLanes<T>;
      if (same(a + first, b + first, kBlockLanes<T>)) continue;
      std::uint64_t changes = changes_in_block(a + first, b + first) >> (i - first);
      for (; changes != 0; changes &= changes - 1) found(i + std::countr_zero(changes));
    }
  }
}

}  // namespace etseg
