// The functions about the runtime as a whole.
#include "etseg/runtime.h"

#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "errors.h"
#include "etseg/isa.h"
#include "gil.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

namespace {

template <Status (*change)(int)>
void change_threads(int count) {
  const InFlight in_flight;
  const Status status = without_gil([&] { return change(count); });
  if (!status.ok()) throw_as_python(status);
}

void tell_openvino_library(const std::string& path) {
  const InFlight in_flight;
  const Status status = without_gil([&] { return set_openvino_library(path); });
  if (!status.ok()) throw_as_python(status);
}

py::dict info() {
  const RuntimeInfo runtime = runtime_info();
  py::dict result;
  result["version"] = runtime.version;
  result["build"] = runtime.build;
  result["backends"] = runtime.backends;
  result["operators"] = runtime.operators;
  const Result<Isa>& isa = active_isa();
  if (!isa.ok()) throw_as_python(isa.status());
  result["isa"] = isa_name(isa.value());
  std::vector<std::string> supported;
  for (const Isa each : supported_isas()) supported.emplace_back(isa_name(each));
  result["supported_isas"] = supported;
  return result;
}

}  // namespace

void add_runtime(py::module_& module) {
  module.def("runtime_info", &info);
  module.def("thread_count", &thread_count);
  module.def("start_threads", &change_threads<start_threads>, "count"_a);
  module.def("set_openvino_library", &tell_openvino_library, "path"_a);
  module.def("set_thread_count", &change_threads<set_thread_count>, "count"_a);
}

}  // namespace etseg::bindings
