// _native.Packing
#include <pybind11/pybind11.h>

#include <memory>
#include <string>

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
    free_without_gil([&] { packing_.reset(); });
  }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  void pack() {
    const InFlight in_flight;
    const Status status = without_gil([&] { return packing_->pack(); });
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
  std::unique_ptr<Packing> packing_;
};

}  // namespace

void add_packing(py::module_& module) {
  py::class_<Weights>(module, "Packing")
      .def(py::init<const std::string&, int>(), "path"_a, "instances"_a)
      .def("pack", &Weights::pack)
      .def("next", &Weights::next)
      .def_property_readonly("file_identity", &Weights::file_identity);
  module.def("can_share_weights", &can_share_weights);
}

}  // namespace etseg::bindings
