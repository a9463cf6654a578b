// Which instruction set is chosen, and what is said when it cannot be.
#include "etseg/isa.h"

#include <cstdlib>
#include <set>
#include <string>

#include "check.h"

using etseg::choose_isa;
using etseg::Isa;
using etseg::isa_name;
using etseg::supported_isas;

TEST(baseline_is_always_there_and_first) {
  CHECK(!supported_isas().empty());
  CHECK(supported_isas().front() == Isa::kBaseline);
}

TEST(names_round_trip) {
  std::set<std::string> names;
  for (Isa isa : supported_isas()) {
    CHECK(names.insert(isa_name(isa)).second);
    const etseg::Result<Isa> chosen = choose_isa(isa_name(isa));
    CHECK(chosen.ok() && chosen.value() == isa);
  }
}

TEST(unset_or_empty_is_the_best) {
  for (const char* forced : {static_cast<const char*>(nullptr), ""}) {
    const etseg::Result<Isa> chosen = choose_isa(forced);
    CHECK(chosen.ok() && chosen.value() == supported_isas().back());
  }
}

TEST(unknown_names_are_refused) {
  for (const char* forced : {"avx1024", "AVX2", " avx2", "baseline ", "0"}) {
    const etseg::Result<Isa> chosen = choose_isa(forced);
    CHECK(!chosen.ok());
    CHECK(chosen.status().code() == etseg::Code::kInvalidConfig);
    // The message names the value and every way out.
    const std::string& message = chosen.status().message();
    CHECK(message.find("'" + std::string(forced) + "'") != std::string::npos);
    for (Isa isa : supported_isas()) CHECK(message.find(isa_name(isa)) != std::string::npos);
  }
}

TEST(known_but_unsupported_names_are_refused) {
  const std::set<Isa> supported(supported_isas().begin(), supported_isas().end());
  for (Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    CHECK(choose_isa(isa_name(isa)).ok() == (supported.count(isa) == 1));
  }
}

TEST(active_isa_obeys_the_environment_once) {
  const etseg::Result<Isa>& first = etseg::active_isa();
  const etseg::Result<Isa> expected = choose_isa(std::getenv("ETSEG_ISA"));
  CHECK(first.ok() == expected.ok());
  if (first.ok()) CHECK(first.value() == expected.value());
  CHECK(setenv("ETSEG_ISA", "avx1024", 1) == 0);
  CHECK(&etseg::active_isa() == &first);
  CHECK(etseg::active_isa().ok() == first.ok());
}
