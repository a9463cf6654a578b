// The calls that are in native code, and what becomes of them when the interpreter exits.
#pragma once

namespace etseg::bindings {

// One counted call, from the first line of a binding to its last: also while it raises, which runs
// Python. At interpreter exit new calls are refused, running ones are waited for, and those that
// outlast the wait never return: a thread that asks for the GIL of a finalised interpreter is
// unwound through our frames, and takes the process down.
class InFlight {
 public:
  // With the GIL held. Raises ModuleNotLoadedError once calls are refused.
  InFlight();
  ~InFlight() { leave(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  // Counts a call by hand; false if calls are refused. Never calls Python: whoever holds the mutex
  // must not wait for the GIL.
  static bool enter();
  static void leave();

  // Does not return once the interpreter is being finalised. Without the GIL.
  static void park_if_finalizing();

  // Called with the GIL held, by a call that was turned away; `counted` says whether it had
  // entered. Once the interpreter exits, only daemon threads are left beside the one that exits.
  // They stop here, as Python would stop them a moment later; an error would only make them print a
  // traceback nobody asked for.
  static void stop_if_exiting(bool counted);

  // From now on no call enters; the calling thread is the one that exits.
  static void refuse();

  // Waits for the calls that run, and parks those that outlast the wait. True if there is none.
  // Without the GIL.
  static bool shut_down(double seconds);

  // In a forked child none of the counted calls goes on.
  static void forget_after_fork();
};

}  // namespace etseg::bindings
