// What module.cpp puts together: each adds its class or functions to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace etseg::bindings {

void add_model(pybind11::module_& module);
void add_packing(pybind11::module_& module);
void add_segmenter(pybind11::module_& module);  // after the model, which it takes
void add_cutout(pybind11::module_& module);
void add_summary(pybind11::module_& module);
void add_runtime(pybind11::module_& module);
void add_shutdown(pybind11::module_& module);

}  // namespace etseg::bindings
