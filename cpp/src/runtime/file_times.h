// What a file's size and times tell about it.
#pragma once

#include <sys/stat.h>

#include "etseg/model.h"

namespace etseg {

FileIdentity identity_of(const struct ::stat& file);

// By size and the time it was written: a change that has no other time is not noticed.
bool is_same_content(const struct ::stat& a, const struct ::stat& b);

// The system's clock for files ticks every few milliseconds: a file written a moment ago can be
// written once more without another time. Waits for the next tick, from when on a change shows.
void wait_for_the_next_time(const struct ::stat& file);

}  // namespace etseg
