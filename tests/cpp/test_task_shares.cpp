// Tasks dealt out to workers: each is run once, by whoever comes to it.
#include "task_shares.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "check.h"

namespace {

// The workers [first, last) alone: those that have no thread are helped.
void check_each_once(etseg::TaskShares& shares, std::int64_t tasks, std::int64_t workers,
                     std::int64_t first, std::int64_t last) {
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
  shares.deal(tasks, workers);
  std::vector<std::thread> threads;
  for (std::int64_t worker = first; worker < last; ++worker) {
    threads.emplace_back([&, worker] {
      shares.work(worker, [&](std::int64_t task) { ++runs[static_cast<std::size_t>(task)]; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::int64_t wrong = 0;
  for (const std::atomic<int>& count : runs) wrong += count != 1;
  CHECK_MSG(wrong == 0, "%d tasks, %d workers, %d to %d: %d wrong", static_cast<int>(tasks),
            static_cast<int>(workers), static_cast<int>(first), static_cast<int>(last),
            static_cast<int>(wrong));
}

TEST(every_task_is_run_once) {
  etseg::TaskShares shares;
  for (std::int64_t workers : {1, 4, 2, 7}) {  // fewer than before, too
    for (std::int64_t tasks : {0, 1, 3, 7, 1000, 20000}) {
      check_each_once(shares, tasks, workers, 0, workers);
      check_each_once(shares, tasks, workers, workers - 1, workers);
    }
  }
}

}  // namespace
