// _native.Packing
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>

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
  static std::unique_ptr<Weights> pack(const std::string& path, int instances) {
    const InFlight in_flight;
    auto packing = without_gil([&] { return pack_weights(path, instances); });
    if (!packing.ok()) throw_as_python(packing.status());
    return std::make_unique<Weights>(std::move(packing).value());
  }

  explicit Weights(std::unique_ptr<Packing> packing) : packing_(std::move(packing)) {}
  ~Weights() {
    free_without_gil([&] { packing_.reset(); });
  }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // Views of memory that is gone when this is.
  py::list parts() const {
    py::list views;
    for (const Packing::Part& part : packing_->parts()) {
      views.append(py::memoryview::from_memory(part.data, static_cast<py::ssize_t>(part.size)));
    }
    return views;
  }

  py::tuple file_identity() const { return identity(packing_->info().file); }

 private:
  std::unique_ptr<Packing> packing_;
};

}  // namespace

void add_packing(py::module_& module) {
  py::class_<Weights>(module, "Packing")
      .def(py::init(&Weights::pack), "path"_a, "instances"_a)
      .def_property_readonly("file_identity", &Weights::file_identity)
      .def("parts", &Weights::parts);
  module.def("can_share_weights", &can_share_weights);
}

}  // namespace etseg::bindings
