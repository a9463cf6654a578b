#include "kernels/common/isa.h"

#include <cstdlib>
#include <string>

namespace etseg {
namespace {

bool cpu_has(Isa isa) {
  switch (isa) {
    case Isa::kBaseline:
      return true;
#if defined(ETSEG_HAVE_X86_KERNELS)
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    default:
      return false;
  }
}

constexpr Isa kAll[] = {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512};

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kBaseline:
      break;
  }
  return "baseline";
}

const std::vector<Isa>& supported_isas() {
  static const std::vector<Isa> supported = [] {
    std::vector<Isa> found;
    for (Isa isa : kAll) {
      if (cpu_has(isa)) found.push_back(isa);
    }
    return found;
  }();
  return supported;
}

Result<Isa> choose_isa(const char* forced) {
  if (forced == nullptr || *forced == '\0') return supported_isas().back();
  std::string names;
  for (Isa isa : supported_isas()) {
    if (std::string(forced) == isa_name(isa)) return isa;
    names += names.empty() ? "" : ", ";
    names += isa_name(isa);
  }
  return Status(Code::kInvalidConfig, "ETSEG_ISA is '" + std::string(forced) +
                                          "', but this CPU and build can run: " + names +
                                          ". Unset it to let etseg choose.");
}

const Result<Isa>& active_isa() {
  static const Result<Isa> chosen = choose_isa(std::getenv("ETSEG_ISA"));
  return chosen;
}

}  // namespace etseg
