// The one file that names pybind11: conversion, the GIL, exceptions. No arithmetic.
#include <pthread.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "etseg/isa.h"
#include "etseg/log.h"
#include "etseg/map_pool.h"
#include "etseg/runtime.h"
#include "etseg/segmenter.h"

namespace py = pybind11;

namespace {

using etseg::Code;
using etseg::Status;

// Text of the core may quote a damaged file, or a path: not all of it is UTF-8.
py::str text(const std::string& bytes) {
  PyObject* const decoded = PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<py::ssize_t>(bytes.size()), "backslashreplace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

// ---- Errors: a Status becomes the exception that etseg._errors has for its code.

[[noreturn]] void raise(const Status& status) {
  const py::object error =
      py::module_::import("etseg._errors")
          .attr("error_from_code")(static_cast<int>(status.code()), text(status.message()));
  PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
  throw py::error_already_set();
}

[[noreturn]] void raise_input(const std::string& message) {
  raise({Code::kInvalidUserInput, message});
}

// ---- The GIL: convert with it, compute without it.

// Counts the calls that are in native code, from the first line of a binding to its last: also
// while it raises, which runs Python. At interpreter exit new calls are refused, running ones are
// waited for, and those that outlast the wait never return: a thread that asks for the GIL of a
// finalised interpreter is unwound through our frames, and takes the process down.
class InFlight {
 public:
  InFlight() {
    if (enter()) return;
    stop_if_exiting(false);
    raise({Code::kModuleNotLoaded, "the interpreter is shutting down"});
  }
  ~InFlight() { leave(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  // Never calls Python: whoever holds the mutex must not wait for the GIL.
  static bool enter() {
    const std::lock_guard lock(mutex_);
    if (refusing_) return false;
    ++running_;
    return true;
  }

  static void leave() {
    const std::lock_guard lock(mutex_);
    --running_;
    idle_.notify_all();
  }

  static void park_if_finalizing() {
    while (finalizing_.load()) ::pause();
  }

  // Called with the GIL held, by a call that was turned away. Once the interpreter exits, only
  // daemon threads are left beside the one that exits. They stop here, as Python would stop them a
  // moment later; an error would only make them print a traceback nobody asked for.
  static void stop_if_exiting(bool counted) {
    {
      const std::lock_guard lock(mutex_);
      if (!refusing_ || exiting_thread_ == std::this_thread::get_id()) return;
      if (counted) {  // it does not come back: nobody need wait for it
        --running_;
        idle_.notify_all();
      }
    }
    const py::gil_scoped_release release;
    for (;;) ::pause();
  }

  static void refuse() {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    exiting_thread_ = std::this_thread::get_id();
  }

  static bool shut_down(double seconds) {
    std::unique_lock lock(mutex_);
    const bool idle =
        idle_.wait_for(lock, std::chrono::duration<double>(seconds), [] { return running_ == 0; });
    finalizing_.store(true);
    return idle;
  }

  // In a forked child none of the counted calls goes on.
  static void forget_after_fork() { running_ = 0; }

 private:
  // Taken with the GIL held (but for shut_down(), at exit), so never locked in a forked child.
  static inline std::mutex mutex_;
  static inline std::condition_variable idle_;
  static inline int running_ = 0;
  static inline bool refusing_ = false;
  static inline std::thread::id exiting_thread_;
  static inline std::atomic<bool> finalizing_ = false;
};

// Frees with the GIL released, but for when the interpreter exits: then it would not come back.
template <typename F>
void free_without_gil(F&& free) {
  if (!InFlight::enter()) return free();
  {
    const py::gil_scoped_release release;
    free();
    InFlight::park_if_finalizing();
  }
  InFlight::leave();
}

void emit_log() {
  const std::vector<etseg::LogRecord> records = etseg::drain_log();
  if (records.empty()) return;
  try {
    const py::object log = py::module_::import("logging").attr("getLogger")("etseg").attr("log");
    for (const etseg::LogRecord& record : records) {
      const int level = record.level == etseg::LogLevel::kDebug     ? 10
                        : record.level == etseg::LogLevel::kInfo    ? 20
                        : record.level == etseg::LogLevel::kWarning ? 30
                                                                    : 40;
      log(level, "%s", text(record.message));
    }
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("etseg log");  // a broken handler is not the caller's error
  }
}

template <typename F>
auto without_gil(F&& compute) {
  auto result = [&] {
    const py::gil_scoped_release release;
    auto computed = compute();
    InFlight::park_if_finalizing();
    return computed;
  }();
  emit_log();
  return result;
}

// ---- Arrays.

std::string shape_text(const py::array& array) {
  return py::str(array.attr("shape")).cast<std::string>() + " " +
         py::str(array.dtype()).cast<std::string>();
}

etseg::ImageView image_view(const py::array& image, bool bgr) {
  const bool grey = image.ndim() == 2;
  if (!image.dtype().equal(py::dtype::of<std::uint8_t>()) ||
      !(grey || (image.ndim() == 3 && (image.shape(2) == 3 || image.shape(2) == 4))) ||
      image.shape(0) < 1 || image.shape(1) < 1) {
    raise_input("the image is an array " + shape_text(image) +
                "; expected uint8 of shape (H, W, 3), (H, W, 4) or (H, W), not empty");
  }
  etseg::ImageView view;
  view.data = static_cast<const std::uint8_t*>(image.data());
  view.height = image.shape(0);
  view.width = image.shape(1);
  view.row_stride = image.strides(0);
  view.pixel_stride = image.strides(1);
  const py::ssize_t channel = grey ? 0 : image.strides(2);
  view.channel_offset = {0, channel, 2 * channel};
  if (bgr) std::swap(view.channel_offset[0], view.channel_offset[2]);
  return view;
}

// The memory of a result array that is to be written whole.
void* map_memory(py::array& map, py::ssize_t height, py::ssize_t width, const char* name) {
  constexpr int kUsable = py::array::c_style;
  if (map.ndim() != 2 || map.shape(0) != height || map.shape(1) != width ||
      (map.flags() & kUsable) == 0 || !map.writeable()) {
    raise_input(std::string(name) + " is an array " + shape_text(map) +
                "; expected a writeable, C-contiguous one of shape (" + std::to_string(height) +
                ", " + std::to_string(width) + ")");
  }
  return map.mutable_data();
}

[[noreturn]] void raise_no_memory(py::ssize_t height, py::ssize_t width) {
  raise({Code::kOutOfMemory, "no memory for maps of " + std::to_string(height) + "x" +
                                 std::to_string(width) +
                                 " pixels; resize=False gives maps of the model's size"});
}

// Memory of a pool, for as long as an array refers to it.
class Loan {
 public:
  Loan(std::shared_ptr<etseg::MapPool> pool, std::size_t bytes)
      : pool_(std::move(pool)), bytes_(bytes), memory_(pool_->take(bytes)) {}
  ~Loan() { pool_->give_back(memory_, bytes_); }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  void* memory() const { return memory_; }

 private:
  const std::shared_ptr<etseg::MapPool> pool_;
  const std::size_t bytes_;
  void* const memory_;
};

py::array empty_map(const std::shared_ptr<etseg::MapPool>& pool, const py::dtype& dtype,
                    py::ssize_t height, py::ssize_t width) {
  const auto bytes = static_cast<std::size_t>(height * width * dtype.itemsize());
  if (bytes < etseg::MapPool::kLeast) return {dtype, {height, width}};
  auto loan = std::make_unique<Loan>(pool, bytes);
  if (loan->memory() == nullptr) raise_no_memory(height, width);
  const py::capsule owner(loan.get(), [](void* held) { delete static_cast<Loan*>(held); });
  const Loan& lent = *loan.release();
  const py::array whole(dtype, {height, width}, {}, lent.memory(), owner);
  // An array between: of a capsule alone numpy would not let the caller freeze and unfreeze it.
  return {dtype, {height, width}, {}, lent.memory(), whole};
}

// ---- The classes.

etseg::Activation activation_from(const std::string& name) {
  if (name == "softmax") return etseg::Activation::kSoftmax;
  if (name == "sigmoid") return etseg::Activation::kSigmoid;
  if (name == "none") return etseg::Activation::kNone;
  raise({Code::kInvalidConfig,
         "activation is '" + name + "'; expected 'softmax', 'sigmoid' or 'none'"});
}

etseg::Resample resample_from(const std::string& name) {
  if (name == "bilinear") return etseg::Resample::kBilinear;
  if (name == "antialias") return etseg::Resample::kAntialias;
  raise({Code::kInvalidConfig, "resample is '" + name + "'; expected 'bilinear' or 'antialias'"});
}

// A loaded program's instances, until a Segmenter takes them over.
struct LoadedModel {
  std::vector<std::unique_ptr<etseg::Model>> instances;
  etseg::ModelInfo info;

  static std::unique_ptr<LoadedModel> load(const std::string& path, int count) {
    const InFlight in_flight;
    auto instances = without_gil([&] { return etseg::load_models(path, count); });
    if (!instances.ok()) raise(instances.status());
    const etseg::ModelInfo info = instances.value().front()->info();
    return std::make_unique<LoadedModel>(std::move(instances).value(), info);
  }

  LoadedModel(std::vector<std::unique_ptr<etseg::Model>> loaded, etseg::ModelInfo about)
      : instances(std::move(loaded)), info(std::move(about)) {}
  ~LoadedModel() {
    if (!instances.empty()) free_without_gil([&] { instances.clear(); });
  }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
};

std::shared_ptr<etseg::Segmenter> make_segmenter(LoadedModel& loaded, std::array<float, 3> mean,
                                                 std::array<float, 3> std_,
                                                 const std::string& activation,
                                                 const std::string& resample) {
  const InFlight in_flight;
  if (loaded.instances.empty()) {
    raise({Code::kInvalidState, "this Model belongs to a Segmenter already"});
  }
  etseg::SegmenterOptions options;
  options.preprocess = {resample_from(resample), mean, std_};
  options.activation = activation_from(activation);
  const etseg::Executor& executor =
      etseg::runtime_executor(static_cast<int>(loaded.instances.size()));
  auto instances = std::exchange(loaded.instances, {});  // with the GIL: nobody else gets them
  auto segmenter = without_gil([&] {
    return etseg::Segmenter::create(std::move(instances), options, executor,
                                    etseg::check_runtime_process);
  });
  if (!segmenter.ok()) raise(segmenter.status());
  std::shared_ptr<etseg::Segmenter> owner = std::move(segmenter).value();
  etseg::Segmenter* const made = owner.get();
  return {made, [owner = std::move(owner)](etseg::Segmenter*) mutable {
            free_without_gil([&] { owner.reset(); });
          }};
}

py::tuple forward(etseg::Segmenter& segmenter, const py::array& image, bool bgr, py::array argmax,
                  const std::vector<std::pair<std::int64_t, py::array>>& probabilities) {
  const InFlight in_flight;
  const etseg::ImageView view = image_view(image, bgr);
  if (argmax.ndim() != 2)
    raise_input("argmax is an array " + shape_text(argmax) + "; expected 2-D");

  etseg::PostprocessTarget target;
  target.height = argmax.shape(0);
  target.width = argmax.shape(1);
  target.argmax = map_memory(argmax, target.height, target.width, "argmax");
  if (argmax.dtype().equal(py::dtype::of<std::uint8_t>())) {
    target.argmax_type = etseg::LabelType::kUint8;
  } else if (!argmax.dtype().equal(py::dtype::of<std::int32_t>())) {
    raise_input("argmax is an array " + shape_text(argmax) + "; expected int32 or uint8");
  }
  std::vector<etseg::ProbabilityPlane> planes;
  planes.reserve(probabilities.size());
  for (auto [label, map] : probabilities) {
    if (!map.dtype().equal(py::dtype::of<float>())) {
      raise_input("a probability map is an array " + shape_text(map) + "; expected float32");
    }
    void* const memory = map_memory(map, target.height, target.width, "a probability map");
    planes.push_back({label, static_cast<float*>(memory)});
  }
  target.planes = planes;

  etseg::StageTimes times;
  const Status status = without_gil([&] { return segmenter.forward(view, target, times); });
  if (status.code() == Code::kModuleNotLoaded) InFlight::stop_if_exiting(true);
  if (!status.ok()) raise(status);
  return py::make_tuple(times.preprocess, times.inference, times.postprocess);
}

py::list empty_maps(etseg::Segmenter& segmenter, py::ssize_t height, py::ssize_t width,
                    const py::dtype& argmax, int probabilities) {
  const py::dtype probability = py::dtype::of<float>();
  const auto bytes_of_a_pixel =
      static_cast<std::size_t>(argmax.itemsize() + probabilities * probability.itemsize());
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                             &bytes) ||
      __builtin_mul_overflow(bytes, bytes_of_a_pixel, &bytes) || bytes > PTRDIFF_MAX) {
    raise_no_memory(height, width);
  }
  const std::shared_ptr<etseg::MapPool> pool = segmenter.maps(bytes);
  py::list maps;
  maps.append(empty_map(pool, argmax, height, width));
  for (int i = 0; i < probabilities; ++i) {
    maps.append(empty_map(pool, probability, height, width));
  }
  return maps;
}

void set_thread_count(int count) {
  const InFlight in_flight;
  const Status status = without_gil([&] { return etseg::set_thread_count(count); });
  if (!status.ok()) raise(status);
}

py::dict runtime_info() {
  const etseg::RuntimeInfo info = etseg::runtime_info();
  py::dict result;
  result["version"] = info.version;
  result["backends"] = info.backends;
  result["operators"] = info.operators;
  const etseg::Result<etseg::Isa>& isa = etseg::active_isa();
  if (!isa.ok()) raise(isa.status());
  result["isa"] = etseg::isa_name(isa.value());
  std::vector<std::string> supported;
  for (const etseg::Isa each : etseg::supported_isas())
    supported.emplace_back(etseg::isa_name(each));
  result["supported_isas"] = supported;
  return result;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  using namespace py::literals;
  module.doc() = "The native core of etseg. Private: use the names of the package etseg.";
  module.attr("__version__") = ETSEG_VERSION;

  py::class_<LoadedModel>(module, "Model")
      .def(py::init(&LoadedModel::load), "path"_a, "instances"_a)
      .def_property_readonly("input_size",
                             [](const LoadedModel& self) {
                               return py::make_tuple(self.info.input_height, self.info.input_width);
                             })
      .def_property_readonly("output_size",
                             [](const LoadedModel& self) {
                               return py::make_tuple(self.info.output_height,
                                                     self.info.output_width);
                             })
      .def_property_readonly("channels", [](const LoadedModel& self) { return self.info.channels; })
      .def_property_readonly("metadata",
                             [](const LoadedModel& self) { return text(self.info.metadata); })
      .def_property_readonly("backends",
                             [](const LoadedModel& self) { return self.info.backends; });

  py::class_<etseg::Segmenter, std::shared_ptr<etseg::Segmenter>>(module, "Segmenter")
      .def(py::init(&make_segmenter), "model"_a, "mean"_a, "std"_a, "activation"_a, "resample"_a)
      .def("empty_maps", &empty_maps, "height"_a, "width"_a, "argmax"_a, "probabilities"_a)
      .def("forward", &forward, "image"_a, "bgr"_a, "argmax"_a, "probabilities"_a)
      .def("close", [](etseg::Segmenter& self) { free_without_gil([&] { self.close(); }); });

  module.def("runtime_info", &runtime_info);
  module.def("thread_count", &etseg::thread_count);
  module.def("set_thread_count", &set_thread_count, "count"_a);
  ::pthread_atfork(nullptr, nullptr, InFlight::forget_after_fork);
  module.def("refuse_calls", &InFlight::refuse);
  module.def(
      "shut_down", [](double seconds) { return InFlight::shut_down(seconds); }, "seconds"_a,
      py::call_guard<py::gil_scoped_release>());
}
