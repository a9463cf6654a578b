#include "model.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <utility>

#include "errors.h"
#include "etseg/runtime.h"
#include "gil.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

std::unique_ptr<LoadedModel> LoadedModel::load(const std::string& path, int count) {
  const InFlight in_flight;
  auto loaded = without_gil([&] { return load_models(path, count); });
  if (!loaded.ok()) throw_as_python(loaded.status());
  const ModelInfo info = loaded.value().front()->info();
  return std::make_unique<LoadedModel>(std::move(loaded).value(), info);
}

LoadedModel::LoadedModel(std::vector<std::unique_ptr<Model>> loaded, ModelInfo about)
    : instances(std::move(loaded)), info(std::move(about)) {}

LoadedModel::~LoadedModel() {
  if (!instances.empty()) free_without_gil([&] { instances.clear(); });
}

void add_model(py::module_& module) {
  const auto size = [](std::int64_t height, std::int64_t width) {
    return py::make_tuple(height, width);
  };
  py::class_<LoadedModel>(module, "Model")
      .def(py::init(&LoadedModel::load), "path"_a, "instances"_a)
      .def_property_readonly("input_size",
                             [size](const LoadedModel& self) {
                               return size(self.info.input_height, self.info.input_width);
                             })
      .def_property_readonly("output_size",
                             [size](const LoadedModel& self) {
                               return size(self.info.output_height, self.info.output_width);
                             })
      .def_property_readonly("channels", [](const LoadedModel& self) { return self.info.channels; })
      .def_property_readonly("metadata",
                             [](const LoadedModel& self) { return text(self.info.metadata); })
      .def_property_readonly("backends",
                             [](const LoadedModel& self) { return self.info.backends; });
}

}  // namespace etseg::bindings
