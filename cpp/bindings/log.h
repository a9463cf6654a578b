// What the runtime logged, handed to Python.
#pragma once

namespace etseg::bindings {

// Passes the queued lines on to logging.getLogger("etseg"). With the GIL held. Throws what is no
// Exception, such as KeyboardInterrupt.
void emit_log();

}  // namespace etseg::bindings
