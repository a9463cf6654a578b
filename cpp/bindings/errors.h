// A Status of the core becomes the exception that etseg._errors has for its code.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "etseg/status.h"

namespace etseg::bindings {

// Text of the core may quote a damaged file, or a path: not all of it is UTF-8.
pybind11::str text(const std::string& bytes);

// Has std::bad_alloc, wherever a binding lets it through, become OutOfMemoryError too.
void translate_bad_alloc();

// With the GIL held.
[[noreturn]] void throw_as_python(const Status& status);
[[noreturn]] void throw_bad_input(const std::string& message);

}  // namespace etseg::bindings
