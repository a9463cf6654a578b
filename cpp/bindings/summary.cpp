// _native.measure_labels() and encode_runs()
#include "etseg/summary.h"

#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "gil.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

namespace {

constexpr std::int64_t kLongest = std::int64_t{1} << 30;

bool is_side(std::int64_t length) { return length >= 1 && length <= kLongest; }

LabelMapView label_map(const py::array& map, ImageSize image) {
  const bool bytes = map.dtype().equal(py::dtype::of<std::uint8_t>());
  if ((!bytes && !map.dtype().equal(py::dtype::of<std::int32_t>())) || map.ndim() != 2 ||
      (map.flags() & py::array::c_style) == 0 || !is_side(map.shape(0)) || !is_side(map.shape(1)) ||
      !is_side(image.height) || !is_side(image.width)) {
    throw_bad_input("the label map is an array " + shape_text(map) + " for an image of " +
                    std::to_string(image.height) + "x" + std::to_string(image.width) +
                    " pixels; expected uint8 or int32, (H, W), C-contiguous, not empty");
  }
  return {map.data(), bytes ? LabelMapView::Type::kUint8 : LabelMapView::Type::kInt32, map.shape(0),
          map.shape(1)};
}

bool is_int64(const py::array& array, py::ssize_t dimensions) {
  return array.dtype().equal(py::dtype::of<std::int64_t>()) && array.ndim() == dimensions &&
         (array.flags() & py::array::c_style) != 0;
}

// Rows of `extents` are LabelExtents.
py::tuple measure(const py::array& map, std::int64_t height, std::int64_t width,
                  py::array extents) {
  const InFlight in_flight;
  const ImageSize image = {height, width};
  const LabelMapView view = label_map(map, image);
  static_assert(sizeof(LabelExtent) == 5 * sizeof(std::int64_t));
  if (!is_int64(extents, 2) || extents.shape(1) != 5 || !extents.writeable()) {
    throw_bad_input("extents is an array " + shape_text(extents) +
                    "; expected int64, (labels, 5), C-contiguous, writeable");
  }
  const std::span<LabelExtent> written(static_cast<LabelExtent*>(extents.mutable_data()),
                                       static_cast<std::size_t>(extents.shape(0)));
  StrayLabels stray;
  const Status status = without_gil([&] { return measure_labels(view, image, written, stray); });
  if (!status.ok()) throw_as_python(status);
  return py::make_tuple(stray.lowest, stray.highest);
}

py::list encode(const py::array& map, std::int64_t height, std::int64_t width,
                const py::array& labels) {
  const InFlight in_flight;
  const ImageSize image = {height, width};
  const LabelMapView view = label_map(map, image);
  if (!is_int64(labels, 1)) {
    throw_bad_input("labels is an array " + shape_text(labels) + "; expected int64, (N,)");
  }
  const std::span<const std::int64_t> chosen(static_cast<const std::int64_t*>(labels.data()),
                                             static_cast<std::size_t>(labels.size()));
  for (const std::int64_t label : chosen) {
    if (label < 0 || label > INT32_MAX)
      throw_bad_input("there is no label " + std::to_string(label));
  }
  std::vector<std::string> counts;
  const Status status = without_gil([&] { return encode_runs(view, image, chosen, counts); });
  if (!status.ok()) throw_as_python(status);
  py::list texts;
  for (const std::string& each : counts) texts.append(py::str(each));
  return texts;
}

}  // namespace

void add_summary(py::module_& module) {
  module.def("measure_labels", &measure, "plane"_a, "height"_a, "width"_a, "extents"_a);
  module.def("encode_runs", &encode, "plane"_a, "height"_a, "width"_a, "labels"_a);
}

}  // namespace etseg::bindings
