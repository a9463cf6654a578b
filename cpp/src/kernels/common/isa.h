// The namespace of the instruction set that a kernel source is being compiled for.
#pragma once

#include "etseg/isa.h"

// Kernel sources are compiled once per instruction set, each time into a namespace of that name.
// They may not call inline functions of the standard library: without inlining, the linker keeps
// one copy of those for the whole program, and it could be the AVX-512 one.
#if !defined(ETSEG_ISA_NAMESPACE)
#define ETSEG_ISA_NAMESPACE baseline
#endif
