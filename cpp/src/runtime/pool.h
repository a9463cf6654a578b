// The runtime's thread pool: who uses it, and who is kept off it.
#pragma once

#include "etseg/status.h"

namespace etseg {

// From now on check_runtime_process() refuses a forked child.
void own_runtime();

// start_threads() with a thread for each CPU that this process may run on.
Status start_pool();

// A program that lives, and with it the pool it was loaded with: set_thread_count() refuses to
// replace that while there is one.
class PoolUser {
 public:
  PoolUser();
  ~PoolUser();
  PoolUser(const PoolUser&) = delete;
  PoolUser& operator=(const PoolUser&) = delete;
};

// How many threads a program runs on that is loaded on this thread now: the pool's, or this one
// alone.
int threads_of_this_load();

// Keeps this thread off the pool, if `alone`, for as long as it lives.
class WithoutPool {
 public:
  explicit WithoutPool(bool alone);
  ~WithoutPool();
  WithoutPool(const WithoutPool&) = delete;
  WithoutPool& operator=(const WithoutPool&) = delete;

 private:
  const bool before_;
};

}  // namespace etseg
