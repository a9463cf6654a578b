#include "runtime/openvino_library.h"

#include <dlfcn.h>

#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "etseg/runtime.h"

namespace etseg {
namespace {

constexpr const char* kInstall = "pip install \"etseg[openvino]\"";

std::mutex library_mutex;
std::string library_path;                   // guarded by the mutex
std::unique_ptr<openvino::Library> opened;  // likewise; never freed once it is there

Status not_usable(const std::string& why) {
  return {Code::kNotSupported, why + ". What to do: " + kInstall};
}

template <typename Function>
bool find(void* handle, const char* name, Function*& function, std::string& missing) {
  function = reinterpret_cast<Function*>(::dlsym(handle, name));
  if (function == nullptr && missing.empty()) missing = name;
  return function != nullptr;
}

// The first name that the library does not have, or nothing.
std::string look_up(void* handle, openvino::Functions& call) {
  std::string missing;
  find(handle, "ov_get_last_err_msg", call.last_error, missing);
  find(handle, "ov_get_openvino_version", call.version, missing);
  find(handle, "ov_version_free", call.free_version, missing);
  find(handle, "ov_core_create", call.create_core, missing);
  find(handle, "ov_core_set_property", call.set_property, missing);
  find(handle, "ov_core_import_model", call.import_model, missing);
  find(handle, "ov_compiled_model_free", call.free_model, missing);
  find(handle, "ov_compiled_model_inputs_size", call.count_inputs, missing);
  find(handle, "ov_compiled_model_outputs_size", call.count_outputs, missing);
  find(handle, "ov_compiled_model_input_by_index", call.input, missing);
  find(handle, "ov_compiled_model_output_by_index", call.output, missing);
  find(handle, "ov_port_get_element_type", call.element_type, missing);
  find(handle, "ov_const_port_get_shape", call.shape, missing);
  find(handle, "ov_shape_free", call.free_shape, missing);
  find(handle, "ov_output_const_port_free", call.free_port, missing);
  find(handle, "ov_compiled_model_create_infer_request", call.create_request, missing);
  find(handle, "ov_infer_request_free", call.free_request, missing);
  find(handle, "ov_tensor_create_from_host_ptr", call.wrap, missing);
  find(handle, "ov_tensor_get_byte_size", call.bytes, missing);
  find(handle, "ov_tensor_free", call.free_tensor, missing);
  find(handle, "ov_infer_request_set_input_tensor_by_index", call.set_input, missing);
  find(handle, "ov_infer_request_set_output_tensor_by_index", call.set_output, missing);
  find(handle, "ov_infer_request_infer", call.infer, missing);
  return missing;
}

std::string version_of(const openvino::Functions& call) {
  openvino::Version version;
  if (call.version(&version) != 0 || version.build == nullptr) return "of unknown version";
  const std::string_view build = version.build;  // "2026.4.1-12345-..."
  std::string text(build.substr(0, build.find('-')));
  call.free_version(&version);
  return text;
}

Result<std::unique_ptr<openvino::Library>> open(const std::string& path) {
  if (path.empty()) {
    return not_usable("the Python package openvino, which the program runs on, is not installed");
  }
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = ::dlerror();
    return not_usable("OpenVINO's library cannot be loaded: " +
                      (why == nullptr ? path : std::string(why)));
  }
  auto found = std::make_unique<openvino::Library>();
  if (const std::string name = look_up(handle, found->call); !name.empty()) {
    ::dlclose(handle);
    return not_usable("'" + path +
                      "' is not the library of an OpenVINO that etseg can use: it "
                      "has no " +
                      name);
  }
  found->version = version_of(found->call);
  if (found->call.create_core(&found->core) != 0) {
    return not_usable("OpenVINO cannot be started" + last_words(*found));
  }
  return found;
}

}  // namespace

Status set_openvino_library(std::string path) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());  // there the mutex may be held for ever
  const std::lock_guard lock(library_mutex);
  library_path = std::move(path);
  return {};
}

namespace openvino {

Result<const Library*> library() {
  const std::lock_guard lock(library_mutex);
  if (opened == nullptr) {
    Result<std::unique_ptr<Library>> result = open(library_path);
    if (!result.ok()) return result.status();
    opened = std::move(result).value();
  }
  return static_cast<const Library*>(opened.get());
}

std::string last_words(const Library& library) {
  const char* const words = library.call.last_error();
  std::string text = "; OpenVINO " + library.version + " says: ";
  text += words == nullptr || *words == '\0' ? "nothing" : words;
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

}  // namespace openvino
}  // namespace etseg
