#include "runtime/openvino_backend.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etseg/log.h"
#include "runtime/openvino_library.h"
#include "runtime/pool.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;
using openvino::Library;

// Memory that is handed to the library before each run: what it is, and how large.
struct Place {
  openvino::ElementType type = 0;
  openvino::Shape shape;
};

// A model in the library, and what it needs to run. Frees what it has, also when it is not whole.
struct Delegate {
  Delegate(const Library& opened, et::FreeableBuffer imported)
      : library(opened), content(std::move(imported)) {}
  ~Delegate() {
    for (Place& place : inputs) library.call.free_shape(&place.shape);
    for (Place& place : outputs) library.call.free_shape(&place.shape);
    if (request != nullptr) library.call.free_request(request);
    if (model != nullptr) library.call.free_model(model);
  }
  Delegate(const Delegate&) = delete;
  Delegate& operator=(const Delegate&) = delete;

  const Library& library;
  et::FreeableBuffer content;  // the model's weights lie in it
  openvino::Model* model = nullptr;
  openvino::Request* request = nullptr;
  std::vector<Place> inputs;
  std::vector<Place> outputs;
};

et::Error refused(const Library& library, const std::string& what, et::Error error) {
  push_log(LogLevel::kError, what + openvino::last_words(library));
  return error;
}

// What the program was lowered with, by name.
std::string spec_of(et::ArrayRef<et::CompileSpec> specs, std::string_view key,
                    const char* otherwise) {
  for (const et::CompileSpec& spec : specs) {
    if (key != spec.key) continue;
    std::string_view text(static_cast<const char*>(spec.value.buffer), spec.value.nbytes);
    while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
    return std::string(text);
  }
  return otherwise;
}

// ", which was made with ov=2026.4.1;isa=...": what OpenVINO puts before what it exports.
std::string made_with(const et::FreeableBuffer& content) {
  constexpr std::size_t kHead = 256;
  const std::string_view head(static_cast<const char*>(content.data()),
                              std::min(kHead, content.size()));
  const std::size_t begin = head.find("ov=");
  if (begin == std::string_view::npos) return "";
  const std::string_view text = head.substr(begin);
  return ", which was made with " + std::string(text.substr(0, text.find('\0')));
}

et::Error import_model(Delegate& delegate, et::ArrayRef<et::CompileSpec> specs) {
  // Properties belong to the library's one core: they are of this import while the lock is held.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const Library& library = delegate.library;
  const std::string device = spec_of(specs, "device", "CPU");
  const std::string threads = std::to_string(threads_of_this_load());
  // Where the CPU has bfloat16, OpenVINO would compute in that.
  const std::string precision = spec_of(specs, "INFERENCE_PRECISION_HINT", "f32");
  const std::pair<const char*, const char*> properties[] = {
      {"INFERENCE_NUM_THREADS", threads.c_str()},
      {"NUM_STREAMS", "1"},
      {"ENABLE_CPU_PINNING", "NO"},  // two instances may not want the same core
      {"INFERENCE_PRECISION_HINT", precision.c_str()},
  };
  for (const auto& [key, value] : properties) {
    if (library.call.set_property(library.core, device.c_str(), key, value) != 0) {
      return refused(library, std::string("OpenVINO refuses ") + key + "=" + value,
                     et::Error::NotSupported);
    }
  }
  if (library.call.import_model(library.core, static_cast<const char*>(delegate.content.data()),
                                delegate.content.size(), device.c_str(), &delegate.model) != 0) {
    return refused(library,
                   "OpenVINO " + library.version + " does not take the program" +
                       made_with(delegate.content) +
                       ". What was made with one version, on one kind of CPU, runs with no other: "
                       "install that version (pip install openvino==VERSION), or export the "
                       "network anew on a machine of this kind; pip install \"etseg[openvino]\" is "
                       "the version that etseg[export-openvino] exports with",
                   et::Error::DelegateInvalidCompatibility);
  }
  return et::Error::Ok;
}

using Find = openvino::Failure (*)(const openvino::Model*, std::size_t, openvino::Port**);

bool read_places(const Delegate& delegate, std::size_t count, Find find,
                 std::vector<Place>& places) {
  const openvino::Functions& call = delegate.library.call;
  places.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    openvino::Port* port = nullptr;
    if (find(delegate.model, i, &port) != 0) return false;
    Place& place = places.emplace_back();
    const bool found =
        call.element_type(port, &place.type) == 0 && call.shape(port, &place.shape) == 0;
    call.free_port(port);
    if (!found) return false;
  }
  return true;
}

et::Error prepare(Delegate& delegate) {
  const openvino::Functions& call = delegate.library.call;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  if (call.count_inputs(delegate.model, &inputs) != 0 ||
      call.count_outputs(delegate.model, &outputs) != 0 ||
      !read_places(delegate, inputs, call.input, delegate.inputs) ||
      !read_places(delegate, outputs, call.output, delegate.outputs) ||
      call.create_request(delegate.model, &delegate.request) != 0) {
    return refused(delegate.library, "OpenVINO cannot run the program",
                   et::Error::DelegateInvalidCompatibility);
  }
  return et::Error::Ok;
}

using Set = openvino::Failure (*)(openvino::Request*, std::size_t, const openvino::Tensor*);

// Lets the library read or write a tensor where it lies. Its memory is taken as planar, whatever
// order the program declares: that is what lowering leaves.
et::Error bind(const Delegate& delegate, const Place& place, std::size_t index, et::EValue& value,
               Set set) {
  const openvino::Functions& call = delegate.library.call;
  if (!value.isTensor()) return et::Error::InvalidArgument;
  const auto& tensor = value.toTensor();
  openvino::Tensor* wrapped = nullptr;
  if (call.wrap(place.type, place.shape, tensor.mutable_data_ptr(), &wrapped) != 0) {
    return refused(delegate.library, "OpenVINO refuses a tensor", et::Error::InvalidArgument);
  }
  std::size_t bytes = 0;
  const bool fits = call.bytes(wrapped, &bytes) == 0 && bytes == tensor.nbytes();
  const bool is_set = fits && set(delegate.request, index, wrapped) == 0;
  call.free_tensor(wrapped);  // the request keeps what it was given
  if (is_set) return et::Error::Ok;
  return refused(delegate.library,
                 "tensor " + std::to_string(index) + " of the delegate has " +
                     std::to_string(tensor.nbytes()) + " bytes, and OpenVINO's " +
                     std::to_string(bytes),
                 et::Error::InvalidArgument);
}

}  // namespace

bool OpenvinoBackend::is_available() const { return openvino::library().ok(); }

et::Result<et::DelegateHandle*> OpenvinoBackend::init(et::BackendInitContext&,
                                                      et::FreeableBuffer* processed,
                                                      et::ArrayRef<et::CompileSpec> specs) const {
  try {
    const Result<const Library*> library = openvino::library();
    if (!library.ok()) {
      push_log(LogLevel::kError, library.status().message());
      return et::Error::NotSupported;
    }
    auto delegate = std::make_unique<Delegate>(*library.value(), std::move(*processed));
    if (const et::Error e = import_model(*delegate, specs); e != et::Error::Ok) return e;
    if (const et::Error e = prepare(*delegate); e != et::Error::Ok) return e;
    return delegate.release();
  } catch (const std::bad_alloc&) {
    return et::Error::MemoryAllocationFailed;
  }
}

et::Error OpenvinoBackend::execute(et::BackendExecutionContext&, et::DelegateHandle* handle,
                                   et::Span<et::EValue*> args) const {
  const Delegate& delegate = *static_cast<const Delegate*>(handle);
  const std::size_t inputs = delegate.inputs.size();
  if (args.size() != inputs + delegate.outputs.size()) return et::Error::InvalidArgument;
  const openvino::Functions& call = delegate.library.call;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const bool is_input = i < inputs;
    const std::size_t index = is_input ? i : i - inputs;
    const Place& place = is_input ? delegate.inputs[index] : delegate.outputs[index];
    const et::Error error =
        bind(delegate, place, index, *args[i], is_input ? call.set_input : call.set_output);
    if (error != et::Error::Ok) return error;
  }
  if (call.infer(delegate.request) != 0) {
    return refused(delegate.library, "OpenVINO failed while the program ran", et::Error::Internal);
  }
  return et::Error::Ok;
}

void OpenvinoBackend::destroy(et::DelegateHandle* handle) const {
  delete static_cast<Delegate*>(handle);
}

void register_openvino() {
  static OpenvinoBackend backend;
  (void)et::register_backend({kOpenvinoBackend, &backend});  // fails only when full
}

}  // namespace etseg
