#include "runtime/errors.h"

#include <string_view>

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

std::string missing_operators(const LogCapture& log) {
  constexpr std::string_view kMark = "Missing operator: ";
  std::string names;
  for (const std::string& line : log.lines()) {
    const std::size_t at = line.find(kMark);
    if (at == std::string::npos) continue;
    std::string name = line.substr(at + kMark.size());
    if (const std::size_t bracket = name.find("] "); bracket != std::string::npos) {
      name.erase(0, bracket + 2);  // its index in the program
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "(not named by the runtime)" : names;
}

}  // namespace

std::string first_line(const LogCapture& log) {
  return log.lines().empty() ? "" : "; the runtime says: " + log.lines()[0];
}

Status runtime_error(et::Error error, const std::string& doing, const LogCapture& log) {
  const std::string message = doing + ": " + et::to_string(error) + first_line(log);
  switch (error) {
    case et::Error::OperatorMissing:
      return {Code::kOperatorMissing,
              doing + ": the program needs operators that this build does not have: " +
                  missing_operators(log) +
                  ". Export it with the XNNPACK partitioner, or without custom operators"};
    case et::Error::NotFound:
    case et::Error::NotSupported:
    case et::Error::DelegateInvalidCompatibility:
      return {Code::kNotSupported, message};
    case et::Error::MemoryAllocationFailed:
    case et::Error::DelegateMemoryAllocationFailed:
    case et::Error::OutOfResources:
      return {Code::kOutOfMemory, message};
    case et::Error::InvalidProgram:
    case et::Error::InvalidExternalData:
    case et::Error::InvalidArgument:
    case et::Error::InvalidType:
    case et::Error::InvalidState:
      return {Code::kInvalidProgram, message};
    default:
      return {Code::kInternal, message};
  }
}

}  // namespace etseg
