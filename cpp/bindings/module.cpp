// The extension module. This folder alone names pybind11: conversion, the GIL, exceptions; no
// arithmetic.
#include <pybind11/pybind11.h>

#include "errors.h"
#include "registration.h"

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native core of etseg. Private: use the names of the package etseg.";
  module.attr("__version__") = ETSEG_VERSION;
  etseg::bindings::translate_bad_alloc();
  etseg::bindings::add_model(module);
  etseg::bindings::add_packing(module);
  etseg::bindings::add_segmenter(module);
  etseg::bindings::add_cutout(module);
  etseg::bindings::add_summary(module);
  etseg::bindings::add_runtime(module);
  etseg::bindings::add_shutdown(module);
}
