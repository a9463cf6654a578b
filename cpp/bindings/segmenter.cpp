// _native.Segmenter
#include "etseg/segmenter.h"

#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "etseg/runtime.h"
#include "gil.h"
#include "model.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

namespace {

Activation activation_from(const std::string& name) {
  if (name == "softmax") return Activation::kSoftmax;
  if (name == "sigmoid") return Activation::kSigmoid;
  if (name == "normalise") return Activation::kNormalise;
  if (name == "none") return Activation::kNone;
  throw_as_python(
      {Code::kInvalidConfig,
       "activation is '" + name + "'; expected 'softmax', 'sigmoid', 'normalise' or 'none'"});
}

Resample resample_from(const std::string& name) {
  if (name == "bilinear") return Resample::kBilinear;
  if (name == "antialias") return Resample::kAntialias;
  throw_as_python(
      {Code::kInvalidConfig, "resample is '" + name + "'; expected 'bilinear' or 'antialias'"});
}

using Size = std::pair<std::int64_t, std::int64_t>;  // height, width

LogitsGrid grid_from(const std::string& name, const std::optional<Size>& size) {
  if (name == "half-pixel" && !size) return {};
  if (name == "align-corners" && size) {
    return {LogitsGridKind::kAlignCorners, size->first, size->second};
  }
  if (name == "half-pixel") {
    throw_as_python({Code::kInvalidConfig, "grid_size is for logits_grid 'align-corners' only"});
  }
  if (name == "align-corners") {
    throw_as_python({Code::kInvalidConfig,
                     "logits_grid 'align-corners' needs grid_size, the (height, width) that the "
                     "network's own head would have given its logits"});
  }
  throw_as_python({Code::kInvalidConfig,
                   "logits_grid is '" + name + "'; expected 'half-pixel' or 'align-corners'"});
}

std::shared_ptr<Segmenter> make_segmenter(LoadedModel& loaded, std::array<float, 3> mean,
                                          std::array<float, 3> std_, const std::string& activation,
                                          const std::string& resample,
                                          const std::string& logits_grid,
                                          const std::optional<Size>& grid_size,
                                          std::int64_t labels) {
  const InFlight in_flight;
  if (loaded.instances.empty()) {
    throw_as_python({Code::kInvalidState, "this Model belongs to a Segmenter already"});
  }
  SegmenterOptions options;
  options.preprocess = {resample_from(resample), mean, std_, {}};
  options.activation = activation_from(activation);
  options.grid = grid_from(logits_grid, grid_size);
  options.labels = labels;
  const Executor& executor = runtime_executor(static_cast<int>(loaded.instances.size()));
  auto instances = std::exchange(loaded.instances, {});  // with the GIL: nobody else gets them
  auto segmenter = without_gil([&] {
    return Segmenter::create(std::move(instances), options, executor, check_runtime_process);
  });
  if (!segmenter.ok()) throw_as_python(segmenter.status());
  std::shared_ptr<Segmenter> owner = std::move(segmenter).value();
  Segmenter* const made = owner.get();
  return {made, [owner = std::move(owner)](Segmenter*) mutable {
            free_without_gil([&] { owner.reset(); });
          }};
}

py::tuple forward(Segmenter& segmenter, const py::array& image, bool bgr, py::array argmax,
                  const std::vector<std::pair<std::int64_t, py::array>>& probabilities,
                  bool own_points) {
  const InFlight in_flight;
  const ImageView view = image_view(image, bgr);
  if (argmax.ndim() != 2) {
    throw_bad_input("argmax is an array " + shape_text(argmax) + "; expected 2-D");
  }

  PostprocessTarget target;
  target.height = argmax.shape(0);
  target.width = argmax.shape(1);
  target.argmax = map_memory(argmax, target.height, target.width, "argmax");
  if (argmax.dtype().equal(py::dtype::of<std::uint8_t>())) {
    target.argmax_type = LabelType::kUint8;
  } else if (!argmax.dtype().equal(py::dtype::of<std::int32_t>())) {
    throw_bad_input("argmax is an array " + shape_text(argmax) + "; expected int32 or uint8");
  }
  std::vector<ProbabilityPlane> planes;
  planes.reserve(probabilities.size());
  for (auto [label, map] : probabilities) {
    if (!map.dtype().equal(py::dtype::of<float>())) {
      throw_bad_input("a probability map is an array " + shape_text(map) + "; expected float32");
    }
    void* const memory = map_memory(map, target.height, target.width, "a probability map");
    planes.push_back({label, static_cast<float*>(memory)});
  }
  target.planes = planes;
  target.own_points = own_points;

  StageTimes times;
  const Status status = without_gil([&] { return segmenter.forward(view, target, times); });
  if (status.code() == Code::kModuleNotLoaded) InFlight::stop_if_exiting(true);
  if (!status.ok()) throw_as_python(status);
  return py::make_tuple(times.preprocess, times.inference, times.postprocess);
}

void warm_up(Segmenter& segmenter) {
  const InFlight in_flight;
  const Status status = without_gil([&] { return segmenter.warm_up(); });
  if (status.code() == Code::kModuleNotLoaded) InFlight::stop_if_exiting(true);
  if (!status.ok()) throw_as_python(status);
}

}  // namespace

void add_segmenter(py::module_& module) {
  py::class_<Segmenter, std::shared_ptr<Segmenter>>(module, "Segmenter")
      .def(py::init(&make_segmenter), "model"_a, "mean"_a, "std"_a, "activation"_a, "resample"_a,
           "logits_grid"_a = "half-pixel", "grid_size"_a = std::nullopt, "labels"_a = 0)
      .def("empty_maps", &empty_maps, "height"_a, "width"_a, "argmax"_a, "probabilities"_a)
      .def("forward", &forward, "image"_a, "bgr"_a, "argmax"_a, "probabilities"_a,
           "own_points"_a = false)
      .def("warm_up", &warm_up)
      .def("trim", [](Segmenter& self) { free_without_gil([&] { self.trim(); }); })
      .def("close", [](Segmenter& self) { free_without_gil([&] { self.close(); }); });
}

}  // namespace etseg::bindings
