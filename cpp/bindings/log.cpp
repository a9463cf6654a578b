#include "log.h"

#include <pybind11/pybind11.h>

#include <vector>

#include "errors.h"
#include "etseg/log.h"

namespace etseg::bindings {

namespace py = pybind11;

namespace {

int python_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return 10;
    case LogLevel::kInfo:
      return 20;
    case LogLevel::kWarning:
      return 30;
    case LogLevel::kError:
      break;
  }
  return 40;
}

}  // namespace

void emit_log() {
  const std::vector<LogRecord> records = drain_log();
  if (records.empty()) return;
  try {
    const py::object log = py::module_::import("etseg._logs").attr("logger")().attr("log");
    for (const LogRecord& record : records) {
      log(python_level(record.level), "%s", text(record.message));
    }
  } catch (py::error_already_set& error) {
    // A broken handler is not the caller's error; Ctrl-C, which strikes here too, is for the
    // caller.
    if (!error.matches(PyExc_Exception)) throw;
    error.discard_as_unraisable("etseg log");
  }
}

}  // namespace etseg::bindings
