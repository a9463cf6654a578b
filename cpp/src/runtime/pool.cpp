#include "runtime/pool.h"

#include <executorch/runtime/kernel/thread_parallel_interface.h>

#include <cstdint>
#include <mutex>
#include <string>

#include "etseg/runtime.h"
#include "runtime/start.h"

// Exported by the pool's library, declared in headers that the wheel does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(std::uint32_t count);
};
ThreadPool* get_threadpool();

// Thread-local: while it is set, this thread is given no pool.
class NoThreadPoolGuard {
 public:
  static bool is_enabled();
  static void set_enabled(bool enabled);
};
}  // namespace executorch::extension::threadpool

namespace etseg {
namespace {

namespace ext = ::executorch::extension;
using ext::threadpool::NoThreadPoolGuard;

std::mutex pool_users_mutex;
int pool_users = 0;

class RuntimeExecutor final : public Executor {
 public:
  int concurrency() const override { return static_cast<int>(ext::get_thread_count()); }
  void run(std::int64_t begin, std::int64_t end, std::int64_t grain,
           RangeBody body) const override {
    ext::parallel_for(begin, end, grain,
                      [&](std::int64_t from, std::int64_t to) { body(from, to); });
  }
};

}  // namespace

PoolUser::PoolUser() {
  const std::lock_guard lock(pool_users_mutex);
  ++pool_users;
}

PoolUser::~PoolUser() {
  const std::lock_guard lock(pool_users_mutex);
  --pool_users;
}

WithoutPool::WithoutPool(bool alone) : before_(NoThreadPoolGuard::is_enabled()) {
  if (alone) NoThreadPoolGuard::set_enabled(true);
}

WithoutPool::~WithoutPool() { NoThreadPoolGuard::set_enabled(before_); }

const Executor& runtime_executor(int instances) {
  static const RuntimeExecutor pool;
  static const SerialExecutor caller;
  if (instances == 1) return pool;
  return caller;
}

int thread_count() {
  start_runtime();
  return runtime_executor(1).concurrency();
}

Status set_thread_count(int count) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  start_runtime();
  if (count < 1 || count > kMaxThreads) {
    return {Code::kInvalidUserInput, "the number of threads is " + std::to_string(count) +
                                         "; expected 1 to " + std::to_string(kMaxThreads)};
  }
  const std::lock_guard lock(pool_users_mutex);
  if (pool_users > 0) {
    return {Code::kInvalidState, "the number of threads cannot change while a model is loaded (" +
                                     std::to_string(pool_users) +
                                     " now); delete() them first, or set it at the start"};
  }
  if (!ext::threadpool::get_threadpool()->_unsafe_reset_threadpool(
          static_cast<std::uint32_t>(count))) {
    return {Code::kInternal, "the runtime could not start " + std::to_string(count) + " threads"};
  }
  return {};
}

}  // namespace etseg
