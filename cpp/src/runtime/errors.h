// What the runtime reports, as a Status for the person who called.
#pragma once

#include <executorch/runtime/core/error.h>

#include <string>

#include "etseg/log.h"
#include "etseg/status.h"

namespace etseg {

// `doing` begins the message: "cannot load 'x.pte'". `log` is what the runtime logged meanwhile: it
// returns a number, and says only there what is missing.
Status runtime_error(::executorch::runtime::Error error, const std::string& doing,
                     const LogCapture& log);

// For a method that failed while it ran.
Status execution_error(::executorch::runtime::Error error, const LogCapture& log);

// "; the runtime says: ..." with the first line logged, or nothing.
std::string first_line(const LogCapture& log);

}  // namespace etseg
