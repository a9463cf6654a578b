// The memory of maps: kept for the next of the same size, within limits, from any thread.
#include "etseg/map_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <thread>
#include <vector>

#include "check.h"

namespace {

using etseg::MapPool;

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

thread_local bool held_up = false;  // the thread's allocations wait
std::atomic<bool> waits = false;
std::atomic<bool> go_on = false;

}  // namespace

void* operator new(std::size_t size) {
  if (held_up) {
    waits = true;
    while (!go_on) std::this_thread::yield();
  }
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// Inlined, free() would look to GCC 14 as if it got what operator new, not malloc(), had given.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

TEST(memory_that_came_back_is_what_the_next_of_its_size_gets) {
  MapPool pool;
  pool.keep_at_most(100 * kMegabyte);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, kMegabyte, 9 * kMegabyte}) {
    void* const first = pool.take(bytes);
    void* const second = pool.take(bytes);
    CHECK(first != nullptr && second != nullptr && first != second);
    std::memset(first, 1, bytes);
    std::memset(second, 2, bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 16);
    pool.give_back(first, bytes);
    CHECK(pool.kept() == bytes);
    void* const other = pool.take(bytes + 1);
    CHECK(other != first);
    CHECK(pool.take(bytes) == first);
    CHECK(pool.kept() == 0);
    pool.give_back(first, bytes);
    pool.give_back(second, bytes);
    CHECK(pool.take(bytes) == second);  // the last one, which is the warmest
    pool.give_back(second, bytes);
    pool.give_back(other, bytes + 1);
    CHECK(pool.kept() == 3 * bytes + 1);
    pool.keep_at_most(0);
    CHECK(pool.kept() == 0);
    pool.keep_at_most(100 * kMegabyte);
  }
}

TEST(no_more_is_kept_than_was_said_and_the_oldest_goes_first) {
  MapPool pool;
  void* const unkept = pool.take(kMegabyte);
  pool.give_back(unkept, kMegabyte);
  CHECK(pool.kept() == 0);  // nothing was said

  pool.keep_at_most(3 * kMegabyte);
  void* const old = pool.take(2 * kMegabyte);
  void* const young = pool.take(kMegabyte);
  void* const youngest = pool.take(kMegabyte);
  void* const large = pool.take(4 * kMegabyte);
  pool.give_back(old, 2 * kMegabyte);
  pool.give_back(young, kMegabyte);
  CHECK(pool.kept() == 3 * kMegabyte);
  pool.give_back(youngest, kMegabyte);
  CHECK(pool.kept() == 2 * kMegabyte);
  pool.give_back(large, 4 * kMegabyte);
  CHECK(pool.kept() == 2 * kMegabyte);
  CHECK(pool.take(kMegabyte) == youngest);
  CHECK(pool.take(kMegabyte) == young);
  pool.give_back(young, kMegabyte);
  pool.give_back(youngest, kMegabyte);
}

TEST(a_closed_pool_keeps_nothing_and_still_gives) {
  MapPool pool;
  pool.keep_at_most(10 * kMegabyte);
  void* const before = pool.take(kMegabyte);
  pool.give_back(pool.take(kMegabyte), kMegabyte);
  CHECK(pool.kept() == kMegabyte);
  pool.close();
  CHECK(pool.kept() == 0);
  pool.keep_at_most(10 * kMegabyte);
  pool.give_back(before, kMegabyte);
  CHECK(pool.kept() == 0);
  void* const after = pool.take(kMegabyte);
  CHECK(after != nullptr);
  pool.give_back(after, kMegabyte);
  pool.give_back(nullptr, kMegabyte);
  pool.close();
  CHECK(pool.kept() == 0);
}

TEST(what_cannot_be_had_is_null) {
  MapPool pool;
  CHECK(pool.take(std::numeric_limits<std::size_t>::max()) == nullptr);
}

TEST(threads_never_share_a_block) {
  MapPool pool;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 2000; ++n) {
        const std::size_t bytes = static_cast<std::size_t>(64 + n % 3 * 64);
        pool.keep_at_most(n % 50 == 0 ? 128 : 1024);
        auto* const memory = static_cast<std::uint8_t*>(pool.take(bytes));
        std::memset(memory, i, bytes);
        std::this_thread::yield();
        for (std::size_t k = 0; k < bytes; ++k) wrong += memory[k] != i;
        pool.give_back(memory, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(pool.kept() <= 1024);
}

TEST(a_forked_child_keeps_nothing) {
  MapPool pool;
  pool.keep_at_most(kMegabyte);
  void* const ours = pool.take(4096);
  void* const kept = pool.take(4096);
  pool.give_back(kept, 4096);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // a hang becomes a failure
    void* const fresh = pool.take(4096);
    const bool good = fresh != nullptr && fresh != kept;
    pool.give_back(fresh, 4096);
    pool.give_back(ours, 4096);
    pool.keep_at_most(0);
    pool.close();
    _exit(good && pool.kept() == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
  CHECK(pool.take(4096) == kept);
  pool.give_back(kept, 4096);
  pool.give_back(ours, 4096);
}

// The first give_back() makes room in the list, under the lock.
TEST(a_forked_child_does_not_wait_for_a_lock_that_is_held_for_ever) {
  MapPool pool;
  pool.keep_at_most(kMegabyte);
  void* const ours = pool.take(4096);
  std::thread holder([&] {
    held_up = true;
    pool.give_back(ours, 4096);
  });
  while (!waits) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // a hang becomes a failure
    pool.keep_at_most(0);
    pool.give_back(pool.take(4096), 4096);
    pool.close();
    _exit(pool.kept() == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
  go_on = true;
  holder.join();
  CHECK(pool.kept() == 4096);
}

}  // namespace
