#include "runtime/file_times.h"

#include <time.h>

namespace etseg {
namespace {

bool is_before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

#if defined(__APPLE__)
const timespec& written(const struct stat& file) { return file.st_mtimespec; }
const timespec& changed(const struct stat& file) { return file.st_ctimespec; }
#else
const timespec& written(const struct stat& file) { return file.st_mtim; }
const timespec& changed(const struct stat& file) { return file.st_ctim; }
#endif

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileIdentity identity_of(const struct stat& file) {
  return {static_cast<std::int64_t>(file.st_dev), static_cast<std::int64_t>(file.st_ino),
          static_cast<std::int64_t>(file.st_size), nanoseconds(written(file)),
          nanoseconds(changed(file))};
}

bool is_same_content(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && !is_before(written(a), written(b)) &&
         !is_before(written(b), written(a));
}

void wait_for_the_next_time(const struct stat& file) {
  constexpr timespec kPause = {0, 1'000'000};
  constexpr int kTicks = 20;  // the longest tick is 10 ms; a time in the future is not waited for
  for (int i = 0; i < kTicks; ++i) {
    timespec now = {};
#if defined(CLOCK_REALTIME_COARSE)
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
    ::clock_gettime(CLOCK_REALTIME, &now);
#endif
    if (is_before(written(file), now)) return;
    ::nanosleep(&kPause, nullptr);
  }
}

}  // namespace etseg
