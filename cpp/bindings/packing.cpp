// _native.Packing
#include <pybind11/pybind11.h>

#include <exception>
#include <memory>
#include <string>
#include <thread>

#include "calls_in_flight.h"
#include "errors.h"
#include "etseg/runtime.h"
#include "gil.h"
#include "model.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

namespace {

class Weights {
 public:
  Weights(const std::string& path, int instances) : packing_(make_packing(path, instances)) {}
  ~Weights() {
    free_without_gil([&] {
      if (thread_.joinable()) thread_.join();
      packing_.reset();
    });
  }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // Not one of Python's threads: those need memory of Python's to begin, to fail and to end, and
  // without it are waited for in vain. Counted as a call, so that no exit overtakes it.
  void start() {
    const InFlight in_flight;
    thread_ = std::thread([this, call = std::make_unique<InFlight>()] { pack(); });
  }

  // Until all is packed.
  void wait() {
    const InFlight in_flight;
    const Status status = without_gil([&] {
      if (thread_.joinable()) thread_.join();
      return status_;
    });
    if (failure_) std::rethrow_exception(failure_);
    if (!status.ok()) throw_as_python(status);
  }

  // A view of memory that is gone when this is, or None.
  py::object next() {
    const InFlight in_flight;
    const Packing::Part part = without_gil([&] { return packing_->next(); });
    if (part.data == nullptr) return py::none();
    return py::memoryview::from_memory(part.data, static_cast<py::ssize_t>(part.size));
  }

  py::tuple file_identity() const { return identity(packing_->info().file); }

 private:
  void pack() noexcept {
    try {
      status_ = packing_->pack();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  std::unique_ptr<Packing> packing_;
  std::thread thread_;
  Status status_;               // of pack(), once the thread has ended
  std::exception_ptr failure_;  // the same
};

}  // namespace

void add_packing(py::module_& module) {
  py::class_<Weights>(module, "Packing")
      .def(py::init<const std::string&, int>(), "path"_a, "instances"_a)
      .def("start", &Weights::start)
      .def("wait", &Weights::wait)
      .def("next", &Weights::next)
      .def_property_readonly("file_identity", &Weights::file_identity);
  module.def("can_share_weights", &can_share_weights);
}

}  // namespace etseg::bindings
