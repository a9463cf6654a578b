#include "runtime/pool.h"

#include <dlfcn.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "etseg/log.h"
#include "etseg/runtime.h"
#include "runtime/start.h"
#include "startable_threads.h"

// Exported by the pool's library, declared in headers that the wheel does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  std::size_t get_thread_count() const;
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

std::mutex pool_mutex;
int pool_users = 0;  // guarded by the mutex
// Written with the mutex held; 0 before there is a pool.
std::atomic<int> pool_size = 0;
// The process whose threads have the pool and the runtime's locks; 0 before either is used.
std::atomic<pid_t> owner = 0;

class RuntimeExecutor final : public Executor {
 public:
  int concurrency() const override { return static_cast<int>(ext::get_thread_count()); }
  void run(std::int64_t begin, std::int64_t end, std::int64_t grain,
           RangeBody body) const override {
    ext::parallel_for(begin, end, grain,
                      [&](std::int64_t from, std::int64_t to) { body(from, to); });
  }
};

int cpus_of_this_process() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// Threads that can be had, the caller's own included. pthreadpool does not look whether those it
// starts did start: it would wait for the others for ever, or crash when it joins them.
int granted(int count) { return 1 + startable_threads(count - 1); }

// With the mutex held, and `count` threads granted.
Status resize_pool(int count) {
  start_runtime();
  pool_size = count;  // before the pool is made: it asks get_num_performant_cores() below
  auto* const pool = ext::threadpool::get_threadpool();
  if (pool == nullptr) {
    pool_size = 0;
    return {Code::kInternal, "the runtime has no thread pool: it does not know this CPU"};
  }
  if (pool->get_thread_count() != static_cast<std::size_t>(count)) {
    pool->_unsafe_reset_threadpool(static_cast<std::uint32_t>(count));
  }
  pool_size = static_cast<int>(pool->get_thread_count());
  if (pool_size == count) return {};
  return {Code::kInternal, "the runtime could not start " + std::to_string(count) + " threads"};
}

constexpr const char* kWhatLimits =
    "a limit of processes (ulimit -u, pids.max of the cgroup) or of memory (ulimit -v)";

}  // namespace

PoolUser::PoolUser() {
  const std::lock_guard lock(pool_mutex);
  ++pool_users;
}

PoolUser::~PoolUser() {
  const std::lock_guard lock(pool_mutex);
  --pool_users;
}

int threads_of_this_load() {
  return NoThreadPoolGuard::is_enabled() ? 1 : std::max(1, thread_count());
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

void with_executor(const std::function<void(const Executor&)>& work) {
  // In a forked child the mutex may be held for ever, and the pool has no threads.
  if (thread_count() == 0 || !check_runtime_process().ok()) return work(SerialExecutor());
  const PoolUser user;
  work(runtime_executor(1));
}

void own_runtime() { owner = ::getpid(); }

Status check_runtime_process() {
  const pid_t process = owner.load(std::memory_order_relaxed);
  if (process == 0 || process == ::getpid()) return {};
  return {Code::kThreadPoolError,
          "this process was forked from process " + std::to_string(process) +
              " after etseg had started its threads there, and threads do not survive a fork. "
              "Load models in the child only, or start children with the 'spawn' method"};
}

Status start_threads(int count) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  own_runtime();  // before the mutex: a child that is forked meanwhile is not to wait for it
  const std::lock_guard lock(pool_mutex);
  if (pool_size > 0) return {};
  const int wanted = std::clamp(count, 1, kMaxThreads);
  const int got = granted(wanted);
  if (got < wanted) {
    push_log(LogLevel::kWarning, "the system grants this process " + std::to_string(got) + " of " +
                                     std::to_string(wanted) + " threads: " + kWhatLimits);
  }
  return resize_pool(got);
}

Status start_pool() { return start_threads(cpus_of_this_process()); }

int thread_count() { return pool_size; }

Status set_thread_count(int count) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  if (count < 1 || count > kMaxThreads) {
    return {Code::kInvalidUserInput, "the number of threads is " + std::to_string(count) +
                                         "; expected 1 to " + std::to_string(kMaxThreads)};
  }
  own_runtime();  // as in start_threads()
  const std::lock_guard lock(pool_mutex);
  if (pool_users > 0) {
    return {Code::kInvalidState,
            "the number of threads cannot change while a model is loaded, or a picture is made (" +
                std::to_string(pool_users) + " now); delete() them first, or set it at the start"};
  }
  const int before = pool_size;
  if (count == before) return {};
  if (before > 1) ETSEG_RETURN_IF_ERROR(resize_pool(1));  // its threads make room for the new ones
  const int got = granted(count);
  if (got == count) return resize_pool(count);
  if (before > 1) ETSEG_RETURN_IF_ERROR(resize_pool(granted(before)));
  return {Code::kInvalidUserInput, "the number of threads is " + std::to_string(count) +
                                       ", but the system grants this process " +
                                       std::to_string(got) + ": " + kWhatLimits};
}

}  // namespace etseg

#if !defined(__APPLE__)
// Asked by the pool's library for the size of its first pool, in place of its own answer, the cores
// of the machine: the loader looks here first (bindings/exports.map). Where it does not, the pool
// is made with that number and then anew.
namespace executorch::extension::cpuinfo {
__attribute__((visibility("default"))) std::uint32_t get_num_performant_cores();
std::uint32_t get_num_performant_cores() {
  return static_cast<std::uint32_t>(etseg::pool_size.load());
}
}  // namespace executorch::extension::cpuinfo

// Called as the process ends, in forked children too, where it would wait for threads that only the
// parent has: since glibc 2.42 or so for ever. A child leaves the pool to the system.
extern "C" {
using DestroyPool = void(void* pool);
__attribute__((visibility("default"))) DestroyPool pthreadpool_destroy;
void pthreadpool_destroy(void* pool) {
  static auto* const next =
      reinterpret_cast<DestroyPool*>(::dlsym(RTLD_NEXT, "pthreadpool_destroy.etseg"));
  if (next != nullptr && etseg::check_runtime_process().ok()) next(pool);
}
}  // extern "C"
#endif
