// _native.compose()
#include "etseg/cutout.h"

#include <pybind11/pybind11.h>

#include <cstdint>

#include "arrays.h"
#include "errors.h"
#include "etseg/runtime.h"
#include "gil.h"
#include "registration.h"

namespace etseg::bindings {

namespace py = pybind11;
using namespace py::literals;

namespace {

// Bytes, contiguous, of the image's size.
bool fits(const py::array& array, const ImageView& image, py::ssize_t dimensions) {
  return array.dtype().equal(py::dtype::of<std::uint8_t>()) && array.ndim() == dimensions &&
         array.shape(0) == image.height && array.shape(1) == image.width &&
         (array.flags() & py::array::c_style) != 0;
}

void compose(const py::array& pixels, const py::array& opacity, py::array out, bool estimate,
             const py::object& behind) {
  const InFlight in_flight;
  const ImageView image = image_view(pixels, false);
  const bool blends = !behind.is_none();
  if (blends && !py::isinstance<py::array>(behind)) throw_bad_input("background is no array");
  const ImageView background =
      blends ? image_view(py::reinterpret_borrow<py::array>(behind), false) : ImageView{};
  if (!fits(opacity, image, 2) || !fits(out, image, 3) || !out.writeable() ||
      (out.shape(2) != 3 && (out.shape(2) != 4 || blends)) ||
      (blends && (background.height != image.height || background.width != image.width))) {
    throw_bad_input("compose() needs arrays of one size; out is an array " + shape_text(out) +
                    ", opacity is an array " + shape_text(opacity));
  }
  const Result<Isa>& isa = active_isa();
  if (!isa.ok()) throw_as_python(isa.status());
  const auto* const plane = static_cast<const std::uint8_t*>(opacity.data());
  const CutoutTarget target = {static_cast<std::uint8_t*>(out.mutable_data()),
                               static_cast<int>(out.shape(2))};
  const Status status = without_gil([&] {
    Status done;
    with_executor([&](const Executor& executor) {
      done = cut_out(image, plane, estimate, isa.value(), target, executor);
      if (done.ok() && blends) blend(target.data, plane, background, executor);
    });
    return done;
  });
  if (!status.ok()) throw_as_python(status);
}

}  // namespace

void add_cutout(py::module_& module) {
  module.def("compose", &compose, "image"_a, "opacity"_a, "out"_a, "estimate"_a,
             "background"_a = py::none());
}

}  // namespace etseg::bindings
