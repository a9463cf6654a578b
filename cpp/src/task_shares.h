// Tasks dealt out so that each worker has neighbouring ones, the same in every call: what a core
// has in its cache it mostly finds again, and no two cores are the first to touch a page of fresh
// memory at the same time (both would clear it). Who is done early helps the others, from the far
// end of what they have left.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace etseg {

class TaskShares {
 public:
  // Deals out the tasks [0, tasks), fewer than 2^32. May throw std::bad_alloc.
  void deal(std::int64_t tasks, std::int64_t workers) {
    if (workers > capacity_) {
      left_ = std::make_unique<Left[]>(static_cast<std::size_t>(workers));
      capacity_ = workers;
    }
    workers_ = workers;
    for (std::int64_t i = 0; i < workers; ++i) {
      const auto begin = static_cast<std::uint64_t>(tasks * i / workers);
      const auto end = static_cast<std::uint64_t>(tasks * (i + 1) / workers);
      left_[static_cast<std::size_t>(i)].range.store(begin << 32 | end, std::memory_order_relaxed);
    }
  }

  // Calls run(task) for every task that no other worker has taken or will take.
  template <typename Run>
  void work(std::int64_t worker, Run run) {
    for (std::int64_t i = 0; i < workers_; ++i) {
      const bool own = i == 0;
      auto& range = left_[static_cast<std::size_t>((worker + i) % workers_)].range;
      std::uint64_t seen = range.load(std::memory_order_relaxed);
      for (;;) {
        const std::uint64_t begin = seen >> 32, end = seen & 0xFFFFFFFF;
        if (begin >= end) break;
        const std::uint64_t rest = own ? (begin + 1) << 32 | end : begin << 32 | (end - 1);
        if (!range.compare_exchange_weak(seen, rest, std::memory_order_relaxed)) continue;
        run(static_cast<std::int64_t>(own ? begin : end - 1));
        seen = range.load(std::memory_order_relaxed);
      }
    }
  }

 private:
  struct alignas(64) Left {
    std::atomic<std::uint64_t> range = 0;  // begin << 32 | end
  };

  std::unique_ptr<Left[]> left_;
  std::int64_t capacity_ = 0, workers_ = 1;
};

}  // namespace etseg
