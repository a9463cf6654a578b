// What a program claims about its method, looked at before anything of it is run.
#pragma once

#include <executorch/runtime/executor/method_meta.h>

#include <string>
#include <vector>

#include "etseg/status.h"
#include "program_interface.h"

namespace etseg {

ProgramDescription describe(const ::executorch::runtime::MethodMeta& method);

// The backends that the method is delegated to. kNotSupported if one is not in this build, or
// cannot be used on this machine; kInvalidProgram if a delegate has no name.
Result<std::vector<std::string>> usable_backends(const ::executorch::runtime::MethodMeta& method);

}  // namespace etseg
