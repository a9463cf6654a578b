// What the payloads of XNNPACK's delegate say about their constants.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace etseg {

// The names of the constants that one operator packs and another reads as they are, in all payloads
// that lie in these bytes. The delegate lets go of all that is packed, whoever else reads it.
//
// Nothing outside is looked at, whatever they say. May throw std::bad_alloc.
std::vector<std::string> constants_packed_and_read(const void* bytes, std::size_t size);

}  // namespace etseg
