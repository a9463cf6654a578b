// Brings ExecuTorch up, once in the process.
#pragma once

namespace etseg {

// Before anything else of the runtime's: its log lines go to etseg/log.h from here on. Thread-safe.
void start_runtime();

}  // namespace etseg
