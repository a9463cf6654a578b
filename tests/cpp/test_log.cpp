// The queue between the runtime's log hook and Python's logging.
#include "etseg/log.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace {

using etseg::drain_log;
using etseg::kLogCapacity;
using etseg::LogLevel;
using etseg::LogRecord;
using etseg::push_log;

TEST(lines_come_out_once_in_order_with_their_level) {
  drain_log();
  push_log(LogLevel::kInfo, "first");
  push_log(LogLevel::kError, "second");
  push_log(LogLevel::kDebug, "");
  const std::vector<LogRecord> lines = drain_log();
  CHECK(lines.size() == 3);
  if (lines.size() != 3) return;
  CHECK(lines[0].message == "first" && lines[0].level == LogLevel::kInfo);
  CHECK(lines[1].message == "second" && lines[1].level == LogLevel::kError);
  CHECK(lines[2].message.empty() && lines[2].level == LogLevel::kDebug);
  CHECK(drain_log().empty());
}

TEST(the_newest_lines_are_kept_and_the_lost_ones_counted) {
  drain_log();
  for (std::size_t i = 0; i < kLogCapacity + 44; ++i) push_log(LogLevel::kInfo, std::to_string(i));
  const std::vector<LogRecord> lines = drain_log();
  CHECK(lines.size() == kLogCapacity + 1);
  CHECK(lines.front().level == LogLevel::kWarning);
  CHECK_MSG(lines.front().message.starts_with("44 "), "%s", lines.front().message.c_str());
  CHECK(lines[1].message == "44");
  CHECK(lines.back().message == std::to_string(kLogCapacity + 43));
  // The count starts anew.
  push_log(LogLevel::kInfo, "later");
  CHECK(drain_log().size() == 1);
}

TEST(threads_push_and_drain_at_the_same_time) {
  drain_log();
  constexpr int kThreads = 4;
  constexpr int kLines = 40;  // all of them fit
  std::atomic<bool> pushing = true;
  std::atomic<int> drained = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < kLines; ++i) push_log(LogLevel::kInfo, "line");
    });
  }
  std::thread drainer([&] {
    while (pushing) drained += static_cast<int>(drain_log().size());
  });
  for (std::thread& thread : threads) thread.join();
  pushing = false;
  drainer.join();
  drained += static_cast<int>(drain_log().size());
  CHECK_MSG(drained == kThreads * kLines, "%d", drained.load());
}

}  // namespace
