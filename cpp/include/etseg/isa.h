// Which instruction set the kernels run on: decided once, printable, forceable by ETSEG_ISA.
#pragma once

#include <string>
#include <vector>

#include "etseg/status.h"

namespace etseg {

enum class Isa {
  kBaseline,  // what the compiler assumes: SSE2 on x86-64, NEON on aarch64
  kAvx2,      // AVX2 and FMA
  kAvx512,    // AVX-512 F, BW, DQ, VL
};

const char* isa_name(Isa isa);  // "baseline", "avx2", "avx512": the values of ETSEG_ISA

// The ones compiled in that this CPU has, best last.
const std::vector<Isa>& supported_isas();

// `forced` is the value of ETSEG_ISA, or null for the best supported one. kInvalidConfig if it is
// unknown, or names an instruction set that this CPU or build lacks.
Result<Isa> choose_isa(const char* forced);

// choose_isa(getenv("ETSEG_ISA")), at the first call; the same answer ever after.
const Result<Isa>& active_isa();

}  // namespace etseg
