#include "xnnpack_graph.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "check.h"

namespace {

using etseg::constants_packed_and_read;

// Of a program of tests/data: from the magic of its only delegate to the end of the file.
std::string payload(const std::string& name) {
  std::ifstream file(ETSEG_PROGRAMS + name + ".pte", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::size_t magic = bytes.find("XH00");
  return magic == std::string::npos ? std::string() : bytes.substr(magic - 4);
}

etseg::PackedAndRead found_in(const std::string& bytes) {
  // On its own in memory, so that a sanitizer sees what is read outside it.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  return constants_packed_and_read(exact.data(), exact.size());
}

void damage(const std::string& whole) {
  for (std::size_t size = 0; size < whole.size(); ++size) (void)found_in(whole.substr(0, size));
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = whole;
    for (unsigned count = 1 + random() % 4; count > 0; --count) {
      damaged[random() % damaged.size()] = static_cast<char>(random() % 4 == 0 ? 0xff : random());
    }
    (void)found_in(damaged);
  }
}

std::vector<std::string> names(const std::string& bytes) { return found_in(bytes).names; }

}  // namespace

TEST(constants_in_the_payload_itself) {
  const etseg::PackedAndRead found = found_in(payload("prelu_of_bias_inline_c3"));
  CHECK(found.nameless && found.names.empty());
  CHECK(!found_in(payload("prelu_of_bias_c3")).nameless);
}

TEST(a_bias_that_is_a_slope_too) {
  const std::vector<std::string> found = names(payload("prelu_of_bias_c3"));
  CHECK(found.size() == 1);
  CHECK(!found.empty() && found[0].size() == 64);  // a SHA-256 in hexadecimal
}

TEST(constants_that_are_packed_or_read) {
  for (const char* name : {"logits_c3", "prelu_c3", "two_nodes_c3", "quantized_c3", "no_bias_c3"}) {
    CHECK(!payload(name).empty());
    CHECK_MSG(names(payload(name)).empty(), "%s", name);
  }
}

TEST(what_is_no_payload) {
  CHECK(names("").empty());
  CHECK(names(std::string(100, '\0')).empty());
  CHECK(names("\0\0\0\0XH00 and then something else").empty());
}

TEST(damaged_payloads) {
  damage(payload("prelu_of_bias_c3"));
  damage(payload("prelu_of_bias_inline_c3"));
}
