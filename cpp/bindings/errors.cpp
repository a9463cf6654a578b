#include "errors.h"

#include <exception>
#include <new>

namespace etseg::bindings {

namespace py = pybind11;

py::str text(const std::string& bytes) {
  PyObject* const decoded = PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<py::ssize_t>(bytes.size()), "backslashreplace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

namespace {

void set_python_error(const Status& status) {
  const py::object error =
      py::module_::import("etseg._errors")
          .attr("error_from_code")(static_cast<int>(status.code()), text(status.message()));
  PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
}

}  // namespace

void translate_bad_alloc() {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      set_python_error({Code::kOutOfMemory, "out of memory"});
    }
  });
}

void throw_as_python(const Status& status) {
  set_python_error(status);
  throw py::error_already_set();
}

void throw_bad_input(const std::string& message) {
  throw_as_python({Code::kInvalidUserInput, message});
}

}  // namespace etseg::bindings
