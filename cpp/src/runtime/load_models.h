// What loading a model and packing its weights begin with.
#pragma once

#include "etseg/status.h"
#include "runtime/instance.h"

namespace etseg {

// Starts the runtime for so many instances. kThreadPoolError, kInvalidUserInput, kInternal.
Status prepare_runtime(int instances);

// Several run on their callers' threads alone.
Threads threads_of(int instances);

}  // namespace etseg
