// What the payloads of XNNPACK's delegate say about their constants.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace etseg {

// Constants that one operator packs and another reads as they are. The delegate lets go of all that
// is packed, whoever else reads it.
struct PackedAndRead {
  std::vector<std::string> names;
  bool nameless = false;  // one at least lies in the payload itself, as in programs of old
};

// Those of all payloads that lie in these bytes.
//
// Nothing outside is looked at, whatever they say. May throw std::bad_alloc.
PackedAndRead constants_packed_and_read(const void* bytes, std::size_t size);

}  // namespace etseg
