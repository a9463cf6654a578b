// What the runtime is: its version, and what is registered with it.
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/kernel/operator_registry.h>

#include "etseg/runtime.h"
#include "runtime/start.h"

namespace etseg {

namespace et = ::executorch::runtime;

RuntimeInfo runtime_info() {
  start_runtime();
  RuntimeInfo info;
  info.version = ETSEG_EXECUTORCH_VERSION;
  info.build = ETSEG_XNNPACK_BUILD;
  for (std::size_t i = 0; i < et::get_num_registered_backends(); ++i) {
    if (const auto name = et::get_backend_name(i); name.ok()) info.backends.emplace_back(*name);
  }
  info.operators = static_cast<int>(et::get_registered_kernels().size());
  return info;
}

}  // namespace etseg
