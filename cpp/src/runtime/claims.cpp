#include "runtime/claims.h"

#include <executorch/runtime/backend/interface.h>

#include <string_view>

#include "etseg/runtime.h"
#include "runtime/openvino_backend.h"
#include "runtime/openvino_library.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

TensorDescription describe_tensor(const et::Result<et::TensorInfo>& tensor) {
  TensorDescription description;
  if (!tensor.ok()) return description;
  description.is_tensor = true;
  description.type = et::toString(tensor->scalar_type());
  description.sizes.assign(tensor->sizes().begin(), tensor->sizes().end());
  description.dim_order.assign(tensor->dim_order().begin(), tensor->dim_order().end());
  return description;
}

std::string backends_of_this_build() {
  std::string names;
  for (const std::string& name : runtime_info().backends) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace

ProgramDescription describe(const et::MethodMeta& method) {
  ProgramDescription program;
  for (std::size_t i = 0; i < method.num_inputs(); ++i) {
    program.inputs.push_back(describe_tensor(method.input_tensor_meta(i)));
  }
  for (std::size_t i = 0; i < method.num_outputs(); ++i) {
    program.outputs.push_back(describe_tensor(method.output_tensor_meta(i)));
  }
  return program;
}

Result<std::vector<std::string>> usable_backends(const et::MethodMeta& method) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < method.num_backends(); ++i) {
    const auto name = method.get_backend_name(i);
    if (!name.ok()) {
      return Status(Code::kInvalidProgram, "the program names no backend for a delegate");
    }
    const et::BackendInterface* backend = et::get_backend_class(name.get());
    if (backend == nullptr) {
      return Status(Code::kNotSupported,
                    "the program is delegated to the backend '" + std::string(name.get()) +
                        "', which this build does not have; it has: " + backends_of_this_build() +
                        ". Export it for one of those.");
    }
    if (std::string_view(name.get()) == kOpenvinoBackend) {
      const auto library = openvino::library();  // says why not
      if (!library.ok()) {
        const Status& why = library.status();
        return Status(why.code(), "it is delegated to OpenVINO, and " + why.message());
      }
    } else if (!backend->is_available()) {
      return Status(Code::kNotSupported,
                    "the program is delegated to the backend '" + std::string(name.get()) +
                        "', which is not usable here: the library it drives is not installed or "
                        "cannot be loaded");
    }
    names.emplace_back(name.get());
  }
  return names;
}

}  // namespace etseg
