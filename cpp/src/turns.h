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

class Turns {
 public:
  // With the slots 0 to slots - 1, all free.
  explicit Turns(std::size_t slots = 1) {
    for (std::size_t slot = slots; slot > 0; --slot) free_.push_back(slot - 1);
  }

  // Blocks until a slot is free and it is this thread's turn. The slot is the caller's until
  // give_back(). Nothing once closed.
  std::optional<std::size_t> take() {
    std::unique_lock lock(mutex_);
    if (closed_) return std::nullopt;
    if (!free_.empty()) {                     // then nobody waits: give_back() hands slots on
      const std::size_t slot = free_.back();  // used last: its memory is the warmest
      free_.pop_back();
      return slot;
    }
    Waiter self;
    waiting_.push_back(&self);
    self.wake.wait(lock, [&] { return self.called; });
    return self.slot;
  }

  // Ends the turn. True if the turns were closed meanwhile: nobody will have this slot again, and
  // the caller has to clean it up.
  bool give_back(std::size_t slot) {
    const std::lock_guard lock(mutex_);
    if (closed_) return true;
    if (waiting_.empty()) {
      free_.push_back(slot);
    } else {
      call_next(slot);
    }
    return false;
  }

  // The slots that were free, for the caller to clean up. None the second time.
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
    std::optional<std::size_t> slot;
  };

  // Notifies under the lock: the waiter owns the condition variable, and leaves with it.
  void call_next(std::optional<std::size_t> slot) {
    Waiter* next = waiting_.front();
    waiting_.pop_front();
    next->called = true;
    next->slot = slot;
    next->wake.notify_one();
  }

  std::mutex mutex_;
  std::deque<Waiter*> waiting_;
  std::vector<std::size_t>
      free_;  // the last is used next; never grows beyond what it was made with
  bool closed_ = false;
};

}  // namespace etseg
