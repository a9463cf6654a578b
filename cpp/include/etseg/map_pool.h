// Memory for the maps of results. What a result no longer needs is kept for the next one: the
// system hands out fresh memory by page faults and clears it first, which for a large map takes
// longer than computing what it is to hold.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <mutex>
#include <vector>

namespace etseg {

// Thread-safe; in a forked child, where its lock may be held for ever, it keeps nothing. Outlives
// the maps: whoever holds one shares the pool.
class MapPool {
 public:
  // Smaller maps are not worth it: malloc keeps such memory itself.
  static constexpr std::size_t kLeast = std::size_t{64} << 10;
  // Where memory lies behind the start of a cache line: as numpy's own large arrays do, so that the
  // kernels find lines at the same columns of both.
  static constexpr std::size_t kOffset = 16;

  MapPool() = default;
  ~MapPool();
  MapPool(const MapPool&) = delete;
  MapPool& operator=(const MapPool&) = delete;

  // From now on at most so many bytes of free memory are kept. 0 at first.
  void keep_at_most(std::size_t bytes);

  // Memory of `bytes` bytes that holds anything; null if there is none. It lies kOffset bytes
  // behind the start of a cache line.
  void* take(std::size_t bytes);

  // Takes back what take(bytes) returned; null does nothing.
  void give_back(void* memory, std::size_t bytes);

  // Frees what is kept.
  void trim();

  // Frees what is kept; from now on nothing is. Idempotent.
  void close();

  // How many bytes are kept, at this moment.
  std::size_t kept();

 private:
  struct Block {
    void* memory;
    std::size_t bytes;
  };

  void free_beyond(std::size_t limit);
  bool is_forked() const;

  const pid_t owner_ = ::getpid();
  std::mutex mutex_;
  std::vector<Block> free_;  // oldest first
  std::size_t kept_ = 0;
  std::size_t limit_ = 0;
  bool closed_ = false;
};

}  // namespace etseg
