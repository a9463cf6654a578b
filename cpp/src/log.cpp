#include "etseg/log.h"

#include <pthread.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <utility>

namespace etseg {
namespace {

struct Queue {
  std::mutex mutex;
  std::deque<LogRecord> records;
  std::size_t dropped = 0;
  std::atomic<bool> pending = false;
};

// Never destroyed: the runtime's threads may log while the process exits. Never locked in a forked
// child by a thread that the child does not have.
Queue& queue() {
  static Queue* const instance = [] {
    ::pthread_atfork([] { queue().mutex.lock(); }, [] { queue().mutex.unlock(); },
                     [] { queue().mutex.unlock(); });
    return new Queue;
  }();
  return *instance;
}

thread_local LogCapture* capture = nullptr;

}  // namespace

LogCapture::LogCapture() : outer_(std::exchange(capture, this)) {}
LogCapture::~LogCapture() { capture = outer_; }

void push_log(LogLevel level, std::string message) {
  if (capture != nullptr && level >= LogLevel::kWarning) capture->lines_.push_back(message);
  Queue& q = queue();
  const std::lock_guard lock(q.mutex);
  if (q.records.size() == kLogCapacity) {
    q.records.pop_front();
    ++q.dropped;
  }
  q.records.push_back({level, std::move(message)});
  q.pending.store(true, std::memory_order_relaxed);
}

std::vector<LogRecord> drain_log() {
  Queue& q = queue();
  if (!q.pending.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock(q.mutex);
  std::vector<LogRecord> drained;
  if (q.dropped > 0) {
    drained.push_back({LogLevel::kWarning,
                       std::to_string(q.dropped) + " older log lines of the runtime were dropped"});
    q.dropped = 0;
  }
  for (LogRecord& record : q.records) drained.push_back(std::move(record));
  q.records.clear();
  q.pending.store(false, std::memory_order_relaxed);
  return drained;
}

}  // namespace etseg
