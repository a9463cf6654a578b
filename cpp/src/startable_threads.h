// How many threads the system grants: asked by starting them.
#pragma once

namespace etseg {

// Of `wanted` threads, as many as can live at the same time beside those that do already; they are
// started, and have ended when this returns. Limits of processes and of address space, of a user
// and of a container, all show here and nowhere else as well.
int startable_threads(int wanted);

}  // namespace etseg
