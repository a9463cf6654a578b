// First come, first served access to the instances of a segmenter, with an end: close() turns away
// everybody who waits or comes later. std::counting_semaphore promises no order and cannot be
// closed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace etseg {

class InstanceQueue {
 public:
  // Of the instances 0 to instances - 1, all free.
  explicit InstanceQueue(std::size_t instances = 1) {
    for (std::size_t i = instances; i > 0; --i) free_.push_back(i - 1);
  }

  // Blocks until an instance is free and all who came before have had one. It is the caller's until
  // give_back(). Nothing once closed.
  //
  // Of several that are free it is the one used last, as its memory is the warmest; or the one used
  // first.
  std::optional<std::size_t> take(bool used_first = false) {
    std::unique_lock lock(mutex_);
    if (closed_) return std::nullopt;
    if (!free_.empty()) {  // then nobody waits: give_back() hands them on
      const auto chosen = used_first ? free_.begin() : free_.end() - 1;
      const std::size_t instance = *chosen;
      free_.erase(chosen);
      return instance;
    }
    Waiter self;
    waiting_.push_back(&self);
    self.wake.wait(lock, [&] { return self.called; });
    return self.instance;
  }

  // Ends the caller's use. True if the queue was closed meanwhile: nobody will have this instance
  // again, and the caller has to clean it up.
  bool give_back(std::size_t instance) {
    const std::lock_guard lock(mutex_);
    if (closed_) return true;
    if (waiting_.empty()) {
      free_.push_back(instance);
    } else {
      call_next(instance);
    }
    return false;
  }

  // All that are free, without waiting: the caller's until give_back(), in this order.
  std::vector<std::size_t> take_free() {
    const std::lock_guard lock(mutex_);
    return std::exchange(free_, {});
  }

  // The instances that were free, for the caller to clean up. None the second time.
  std::vector<std::size_t> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    while (!waiting_.empty()) call_next(std::nullopt);
    return std::exchange(free_, {});
  }

  // How many threads wait in take(), at this moment.
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  struct Waiter {
    std::condition_variable wake;
    bool called = false;
    std::optional<std::size_t> instance;
  };

  // Notifies under the lock: the waiter owns the condition variable, and leaves with it.
  void call_next(std::optional<std::size_t> instance) {
    Waiter* next = waiting_.front();
    waiting_.pop_front();
    next->called = true;
    next->instance = instance;
    next->wake.notify_one();
  }

  std::mutex mutex_;
  std::deque<Waiter*> waiting_;
  // The last is used next; never grows beyond what it was made with.
  std::vector<std::size_t> free_;
  bool closed_ = false;
};

}  // namespace etseg
