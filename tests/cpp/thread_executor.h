// The parallel primitive on plain std::thread, for tests: sanitizers understand it, and it cuts
// ranges into more pieces than it is asked to, so that nothing can depend on how they are cut.
#pragma once

#include <algorithm>
#include <thread>
#include <vector>

#include "etseg/parallel.h"

class ThreadExecutor final : public etseg::Executor {
 public:
  explicit ThreadExecutor(int threads) : threads_(threads) {}
  int concurrency() const override { return threads_; }
  void run(std::int64_t begin, std::int64_t end, std::int64_t grain,
           etseg::RangeBody body) const override {
    if (begin >= end) return;
    const std::int64_t chunk =
        std::max<std::int64_t>(std::max<std::int64_t>(grain, 1), (end - begin) / threads_);
    std::vector<std::thread> workers;
    for (std::int64_t at = begin; at < end; at += chunk) {
      workers.emplace_back([=] { body(at, std::min(end, at + chunk)); });
    }
    for (std::thread& worker : workers) worker.join();
  }

 private:
  int threads_;
};
