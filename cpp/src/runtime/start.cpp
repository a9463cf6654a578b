#include "runtime/start.h"

#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>

#include <mutex>
#include <new>
#include <string>

#include "etseg/log.h"
#include "runtime/openvino_backend.h"

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

}  // namespace

void start_runtime() {
  static std::once_flag once;
  std::call_once(once, [] {
    et::register_pal(et::PalImpl::create(on_log, __FILE__));
    et::runtime_init();
    register_openvino();
  });
}

}  // namespace etseg
