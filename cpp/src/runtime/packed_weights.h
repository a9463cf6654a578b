// A file of packed weights, mapped: one copy for all instances and processes.
//
//   data      of the entries, each on a cache line, and after the last what kernels read too far
//   entries   of PackedEntry, in the order in which XNNPACK asks for them
//   unread    of PackedEntry, of which offset and size: segments of the program that nobody reads
//             where the entries are used
//   footer    of PackedFooter, at the very end: what is packed first can be written at once
//
// In the byte order of the machine. Whoever opens it has compared its checksum: here its numbers
// are only kept from leading out of it.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "etseg/status.h"

namespace etseg {

inline constexpr std::uint64_t kNowhere = UINT64_MAX;
inline constexpr std::size_t kPackedAlignment = 64;

struct PackedEntry {
  std::uint64_t seed;    // how it is packed, as XNNPACK tells it
  std::uint64_t kernel;  // where the program has it, or kNowhere
  std::uint64_t bias;    // likewise
  std::uint64_t offset;  // of the packed data in the file
  std::uint64_t size;    // of the packed data

  bool is_for(const PackedEntry& wanted) const {
    return seed == wanted.seed && kernel == wanted.kernel && bias == wanted.bias;
  }
};

struct PackedFooter {
  std::uint64_t file_size;
  std::uint64_t entries;
  std::uint64_t unread;
  char magic[8];
};
// Another layout takes another number, here and in the key of files (python/etseg/_weights/key.py).
inline constexpr char kPackedMagic[8] = {'e', 't', 's', 'e', 'g', 'p', 'w', '2'};

// Of entries, unread and footer, so many of the first two together: from a cache line to the end.
constexpr std::size_t packed_index_size(std::size_t count) {
  const std::size_t size = count * sizeof(PackedEntry) + sizeof(PackedFooter);
  return (size + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
}

// Immutable, and so thread-safe.
class PackedWeights {
 public:
  // The descriptor is the caller's, and is not kept. kFileReadFailed, kInvalidProgram,
  // kOutOfMemory.
  static Result<std::shared_ptr<const PackedWeights>> map(int descriptor);
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  const std::vector<PackedEntry>& entries() const { return entries_; }
  const std::vector<std::pair<std::size_t, std::size_t>>& unread() const { return unread_; }
  const void* data(const PackedEntry& entry) const;

  // Whether the file is still the one that was mapped. What lies beyond the end of a file that was
  // truncated must not be touched.
  bool is_intact() const;

 private:
  PackedWeights(int descriptor, const struct ::stat& file);
  Status read();

  const int descriptor_;
  const struct ::stat file_;
  void* memory_ = nullptr;
  std::vector<PackedEntry> entries_;
  std::vector<std::pair<std::size_t, std::size_t>> unread_;
};

}  // namespace etseg
