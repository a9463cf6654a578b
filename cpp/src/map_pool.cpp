#include "etseg/map_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace etseg {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

void* allocate(std::size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const std::size_t alignment = huge ? kHugePage : kLine;
  const std::size_t needed = bytes + MapPool::kOffset;
  const std::size_t size = (needed + alignment - 1) / alignment * alignment;
  if (size < bytes) return nullptr;
  void* const start = std::aligned_alloc(alignment, size);
  if (start == nullptr) return nullptr;
#if defined(MADV_HUGEPAGE)
  // Faster where it is granted. Not for a page of which less than half is used.
  const std::size_t advised = (needed + kHugePage / 2) / kHugePage * kHugePage;
  if (huge) (void)::madvise(start, advised, MADV_HUGEPAGE);
#endif
  return static_cast<std::uint8_t*>(start) + MapPool::kOffset;
}

void release(void* memory) { std::free(static_cast<std::uint8_t*>(memory) - MapPool::kOffset); }

}  // namespace

MapPool::~MapPool() {
  if (is_forked()) return;  // what is listed may be half changed; it goes with the process
  for (const Block& block : free_) release(block.memory);
}

void MapPool::keep_at_most(std::size_t bytes) {
  if (is_forked()) return;
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  limit_ = bytes;
  free_beyond(limit_);
}

void* MapPool::take(std::size_t bytes) {
  if (!is_forked()) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = free_.size(); i > 0; --i) {
      if (free_[i - 1].bytes != bytes) continue;
      void* const memory = free_[i - 1].memory;
      free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      kept_ -= bytes;
      return memory;
    }
  }
  return allocate(bytes);
}

void MapPool::give_back(void* memory, std::size_t bytes) {
  if (memory == nullptr) return;
  if (!is_forked()) {
    try {
      const std::lock_guard lock(mutex_);
      if (bytes <= limit_) {
        free_.push_back({memory, bytes});
        kept_ += bytes;
        free_beyond(limit_);
        return;
      }
    } catch (const std::bad_alloc&) {
      // Then it is freed all the sooner.
    }
  }
  release(memory);
}

void MapPool::trim() {
  if (is_forked()) return;
  const std::lock_guard lock(mutex_);
  free_beyond(0);
}

void MapPool::close() {
  if (is_forked()) return;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  limit_ = 0;
  free_beyond(limit_);
}

std::size_t MapPool::kept() {
  if (is_forked()) return 0;
  const std::lock_guard lock(mutex_);
  return kept_;
}

bool MapPool::is_forked() const { return ::getpid() != owner_; }

void MapPool::free_beyond(std::size_t limit) {
  std::size_t count = 0;
  for (; kept_ > limit; ++count) {
    kept_ -= free_[count].bytes;
    release(free_[count].memory);
  }
  free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace etseg
