#include "startable_threads.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <new>
#include <vector>

namespace etseg {
namespace {

struct Gate {
  std::mutex mutex;
  std::condition_variable opened;
  bool open = false;
};

void* wait_at(void* argument) {
  Gate& gate = *static_cast<Gate*>(argument);
  std::unique_lock lock(gate.mutex);
  gate.opened.wait(lock, [&] { return gate.open; });
  return nullptr;
}

}  // namespace

int startable_threads(int wanted) {
  Gate gate;
  std::vector<pthread_t> threads;
  try {
    threads.reserve(static_cast<std::size_t>(wanted));
  } catch (const std::bad_alloc&) {
    return 0;
  }
  // As the pool starts its own: with the system's default stack.
  for (int i = 0; i < wanted; ++i) {
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, wait_at, &gate) != 0) break;
    threads.push_back(thread);
  }
  {
    const std::lock_guard lock(gate.mutex);
    gate.open = true;
    gate.opened.notify_all();
  }
  for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  return static_cast<int>(threads.size());
}

}  // namespace etseg
