#include "runtime/errors.h"

#include <algorithm>
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

// XNNPACK's delegate reports every failure as an internal one, and says in the log which it was.
bool is_out_of_memory(et::Error error, const LogCapture& log) {
  constexpr std::string_view kMark = "xnn_status_out_of_memory";
  const auto says_so = [&](const std::string& line) { return line.find(kMark) != line.npos; };
  return error == et::Error::MemoryAllocationFailed ||
         error == et::Error::DelegateMemoryAllocationFailed || error == et::Error::OutOfResources ||
         std::any_of(log.lines().begin(), log.lines().end(), says_so);
}

}  // namespace

std::string first_line(const LogCapture& log) {
  return log.lines().empty() ? "" : "; the runtime says: " + log.lines()[0];
}

Status runtime_error(et::Error error, const std::string& doing, const LogCapture& log) {
  const std::string message = doing + ": " + et::to_string(error) + first_line(log);
  if (is_out_of_memory(error, log)) return {Code::kOutOfMemory, message};
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

Status execution_error(et::Error error, const LogCapture& log) {
  if (is_out_of_memory(error, log)) {
    return {Code::kOutOfMemory,
            "out of memory while the program ran; try again once there is some"};
  }
  return {Code::kInternal, std::string("the program failed while it ran: ") + et::to_string(error) +
                               "; the log of etseg has the runtime's own words"};
}

}  // namespace etseg
