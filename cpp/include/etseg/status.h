// How the core reports failure: a must-use Status, or a Result that holds a value or a Status.
//
// The core never throws across a public function, never prints and never aborts. The message of a
// Status is written for the person who called: it names the value, what was expected, and the next
// step. The code says which Python exception it becomes (python/etseg/_errors.py).
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace etseg {

// The numbers are the reference's (react-native-executorch), so that code which switches on them
// keeps working; the values below 100 are ExecuTorch's own runtime errors.
enum class Code : int {
  kOk = 0,
  kInternal = 1,              // a runtime failure that is nobody's input
  kInvalidState = 2,          // the call came at a wrong time (set_num_threads with models loaded)
  kNotSupported = 16,         // the program asks for a backend that this build lacks
  kOperatorMissing = 20,      // the program asks for an operator that this build lacks
  kOutOfMemory = 33,          // an allocation failed
  kInvalidProgram = 35,       // the file is not a program, or a damaged one
  kUnexpectedNumInputs = 97,  // the program does not take exactly one input
  kModuleNotLoaded = 102,     // nothing is loaded, or it was deleted while the call waited
  kInvalidConfig = 112,       // mean, std, activation or labels do not fit the program
  kThreadPoolError = 113,     // the process forked after the runtime started its threads
  kFileReadFailed = 114,      // the file could not be opened or read
  kInvalidModelOutput = 115,  // the program returns neither scores nor labels of each pixel
  kWrongDimensions = 116,     // the program's input is not an image of three channels
  kInvalidUserInput = 117,    // the caller's image, labels or sizes do not fit
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // success
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: never Ok

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  // Only where ok() holds.
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace etseg

#define ETSEG_RETURN_IF_ERROR(expression)        \
  do {                                           \
    ::etseg::Status etseg_status = (expression); \
    if (!etseg_status.ok()) return etseg_status; \
  } while (false)
