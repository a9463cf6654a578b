// The end of the interpreter, and of a process's other threads in a forked child.
#include <pthread.h>

#include "calls_in_flight.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

void add_shutdown(py::module_& module) {
  ::pthread_atfork(nullptr, nullptr, InFlight::forget_after_fork);
  module.def("refuse_calls", &InFlight::refuse);
  module.def("shut_down", &InFlight::shut_down, "seconds"_a,
             py::call_guard<py::gil_scoped_release>());
}

}  // namespace etseg::bindings
