#include "runtime/start.h"

#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <new>
#include <string>

#include "etseg/log.h"
#include "etseg/runtime.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

void on_log(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, std::size_t,
            const char* message, std::size_t length) {
  try {
    push_log(level == kDebug  ? LogLevel::kDebug
             : level == kInfo ? LogLevel::kInfo
                              : LogLevel::kError,
             std::string(message, length));
  } catch (const std::bad_alloc&) {
    // A log line is not worth a crash.
  }
}

// The process whose threads the pool consists of; 0 before there is one.
std::atomic<pid_t> pool_owner = 0;

}  // namespace

void start_runtime() {
  static std::once_flag once;
  std::call_once(once, [] {
    et::register_pal(et::PalImpl::create(on_log, __FILE__));
    et::runtime_init();
    pool_owner.store(::getpid(), std::memory_order_relaxed);
  });
}

Status check_runtime_process() {
  const pid_t owner = pool_owner.load(std::memory_order_relaxed);
  if (owner == 0 || owner == ::getpid()) return {};
  return {Code::kThreadPoolError,
          "this process was forked from process " + std::to_string(owner) +
              " after etseg had started its threads there, and threads do not survive a fork. "
              "Load models in the child only, or start children with the 'spawn' method"};
}

}  // namespace etseg
