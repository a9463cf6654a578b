#include "calls_in_flight.h"

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "errors.h"

namespace etseg::bindings {

namespace py = pybind11;

namespace {

// Taken with the GIL held (but for shut_down(), at exit), so never locked in a forked child.
std::mutex mutex;
std::condition_variable idle;
int running = 0;
bool refusing = false;
std::thread::id exiting_thread;
std::atomic<bool> finalizing = false;

}  // namespace

InFlight::InFlight() {
  if (enter()) return;
  stop_if_exiting(false);
  throw_as_python({Code::kModuleNotLoaded, "the interpreter is shutting down"});
}

bool InFlight::enter() {
  const std::lock_guard lock(mutex);
  if (refusing) return false;
  ++running;
  return true;
}

void InFlight::leave() {
  const std::lock_guard lock(mutex);
  --running;
  idle.notify_all();
}

void InFlight::park_if_finalizing() {
  while (finalizing.load()) ::pause();
}

void InFlight::stop_if_exiting(bool counted) {
  {
    const std::lock_guard lock(mutex);
    if (!refusing || exiting_thread == std::this_thread::get_id()) return;
    if (counted) {  // it does not come back: nobody need wait for it
      --running;
      idle.notify_all();
    }
  }
  const py::gil_scoped_release release;
  for (;;) ::pause();
}

void InFlight::refuse() {
  const std::lock_guard lock(mutex);
  refusing = true;
  exiting_thread = std::this_thread::get_id();
}

bool InFlight::shut_down(double seconds) {
  std::unique_lock lock(mutex);
  const bool is_idle =
      idle.wait_for(lock, std::chrono::duration<double>(seconds), [] { return running == 0; });
  finalizing.store(true);
  return is_idle;
}

void InFlight::forget_after_fork() { running = 0; }

}  // namespace etseg::bindings
