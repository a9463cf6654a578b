// The runtime's log lines, queued natively. The hook runs on any thread, at any time, so it may
// never call Python; the binding drains the queue after each call, under the GIL.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace etseg {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogRecord {
  LogLevel level = LogLevel::kInfo;
  std::string message;
};

// Thread-safe. Keeps the newest kLogCapacity records; what is dropped is counted and reported as a
// record of its own by the next drain.
inline constexpr std::size_t kLogCapacity = 256;
void push_log(LogLevel level, std::string message);

// Thread-safe, and a relaxed load when there is nothing: cheap enough for every call.
std::vector<LogRecord> drain_log();

// While it lives, keeps a copy of the warnings and errors that are pushed on this thread. The
// runtime returns a number for a failed load, and says only in its log what is missing.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  friend void push_log(LogLevel level, std::string message);
  std::vector<std::string> lines_;
  LogCapture* outer_;
};

}  // namespace etseg
