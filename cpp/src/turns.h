// First come, first served access to the one instance of a segmenter, with an end: close() turns
// away everybody who waits or comes later. std::mutex promises no order and cannot be closed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace etseg {

class Turns {
 public:
  // Blocks until it is this thread's turn. False once closed: no turn was taken.
  bool take() {
    std::unique_lock lock(mutex_);
    if (closed_) return false;
    if (!busy_ && waiting_.empty()) {
      busy_ = true;
      return true;
    }
    Waiter self;
    waiting_.push_back(&self);
    self.wake.wait(lock, [&] { return self.called; });
    return self.admitted;
  }

  // Ends the turn. True if the turns were closed meanwhile: the caller was the last one inside and
  // has to clean up.
  bool give_back() {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    if (closed_) return true;
    if (!waiting_.empty()) {
      busy_ = true;
      call_next(true);
    }
    return false;
  }

  // Idempotent. True if nobody is inside, the first time: the caller has to clean up.
  bool close() {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    closed_ = true;
    while (!waiting_.empty()) call_next(false);
    return !busy_;
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
    bool admitted = false;
  };

  // Notifies under the lock: the waiter owns the condition variable, and leaves with it.
  void call_next(bool admitted) {
    Waiter* next = waiting_.front();
    waiting_.pop_front();
    next->called = true;
    next->admitted = admitted;
    next->wake.notify_one();
  }

  std::mutex mutex_;
  std::deque<Waiter*> waiting_;
  bool busy_ = false;
  bool closed_ = false;
};

}  // namespace etseg
