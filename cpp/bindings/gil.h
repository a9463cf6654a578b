// Convert with the GIL, compute without it, and free without it too.
#pragma once

#include <pybind11/pybind11.h>

#include "calls_in_flight.h"
#include "log.h"

namespace etseg::bindings {

// What compute() returns. The caller is counted (InFlight).
template <typename F>
auto without_gil(F&& compute) {
  auto result = [&] {
    const pybind11::gil_scoped_release release;
    auto computed = compute();
    InFlight::park_if_finalizing();
    return computed;
  }();
  emit_log();
  return result;
}

// With the GIL held when the interpreter exits: it would not come back.
template <typename F>
void free_without_gil(F&& free) {
  if (!InFlight::enter()) return free();
  {
    const pybind11::gil_scoped_release release;
    free();
    InFlight::park_if_finalizing();
  }
  InFlight::leave();
}

}  // namespace etseg::bindings
