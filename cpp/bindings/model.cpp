#include "model.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "errors.h"
#include "etseg/runtime.h"
#include "gil.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

std::unique_ptr<LoadedModel> LoadedModel::load(const std::string& path, int count,
                                               int packed_weights) {
  const InFlight in_flight;
  auto loaded = without_gil([&] { return load_models(path, count, packed_weights); });
  if (!loaded.ok()) throw_as_python(loaded.status());
  const ModelInfo info = loaded.value().front()->info();
  return std::make_unique<LoadedModel>(std::move(loaded).value(), info);
}

LoadedModel::LoadedModel(std::vector<std::unique_ptr<Model>> loaded, ModelInfo about)
    : instances(std::move(loaded)),
      info(std::move(about)),
      shares_weights(std::all_of(instances.begin(), instances.end(),
                                 [](const auto& one) { return one->shares_weights(); })) {}

LoadedModel::~LoadedModel() {
  if (!instances.empty()) free_without_gil([&] { instances.clear(); });
}

py::tuple identity(const FileIdentity& file) {
  return py::make_tuple(file.device, file.inode, file.size, file.written, file.changed);
}

void add_model(py::module_& module) {
  const auto size = [](std::int64_t height, std::int64_t width) {
    return py::make_tuple(height, width);
  };
  py::class_<LoadedModel>(module, "Model")
      .def(py::init(&LoadedModel::load), "path"_a, "instances"_a, "packed_weights"_a = -1)
      .def_property_readonly("file_identity",
                             [](const LoadedModel& self) { return identity(self.info.file); })
      .def_readonly("shares_weights", &LoadedModel::shares_weights)
      .def_property_readonly("input_size",
                             [size](const LoadedModel& self) {
                               return size(self.info.input_height, self.info.input_width);
                             })
      .def_property_readonly("output_size",
                             [size](const LoadedModel& self) {
                               return size(self.info.output_height, self.info.output_width);
                             })
      .def_property_readonly("takes_bytes",
                             [](const LoadedModel& self) { return self.info.input_format.bytes; })
      .def_property_readonly("channels", [](const LoadedModel& self) { return self.info.channels; })
      .def_property_readonly("metadata",
                             [](const LoadedModel& self) { return text(self.info.metadata); })
      .def_property_readonly("backends",
                             [](const LoadedModel& self) { return self.info.backends; });
}

}  // namespace etseg::bindings
