// Tasks dealt out so that each worker has neighbouring ones, the same in every call: what a core
// has in its cache it mostly finds again. Who is done early helps the others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace etseg {

class Shares {
 public:
  // Deals out the tasks [0, tasks). May throw std::bad_alloc.
  void deal(std::int64_t tasks, std::int64_t workers) {
    if (workers > capacity_) {
      next_ = std::make_unique<Next[]>(static_cast<std::size_t>(workers));
      capacity_ = workers;
    }
    tasks_ = tasks;
    workers_ = workers;
    for (std::int64_t i = 0; i < workers; ++i) {
      next_[static_cast<std::size_t>(i)].task.store(begin(i), std::memory_order_relaxed);
    }
  }

  // Calls run(task) for every task that no other worker has taken or will take.
  template <typename Run>
  void work(std::int64_t worker, Run run) {
    for (std::int64_t i = 0; i < workers_; ++i) {
      const std::int64_t share = (worker + i) % workers_;
      std::atomic<std::int64_t>& next = next_[static_cast<std::size_t>(share)].task;
      const std::int64_t end = begin(share + 1);
      for (;;) {
        const std::int64_t task = next.fetch_add(1, std::memory_order_relaxed);
        if (task >= end) break;
        run(task);
      }
    }
  }

 private:
  struct alignas(64) Next {
    std::atomic<std::int64_t> task = 0;
  };

  std::int64_t begin(std::int64_t share) const { return tasks_ * share / workers_; }

  std::unique_ptr<Next[]> next_;
  std::int64_t capacity_ = 0, tasks_ = 0, workers_ = 1;
};

}  // namespace etseg
