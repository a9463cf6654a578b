// A program's weights, packed by an instance of its own, as the bytes of a file (packed_weights.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "etseg/runtime.h"
#include "runtime/instance.h"
#include "runtime/program.h"

namespace etseg {

class ProgramPacking final : public Packing {
 public:
  // Once, at first. The errors of load_models().
  Status load(const std::string& path, Threads threads);

  const std::vector<Part>& parts() const override { return parts_; }
  const ModelInfo& info() const override { return program_.info(); }

 private:
  void lay_out();

  LoadedProgram program_;
  LoadedInstance instance_;
  std::vector<char> index_;  // header, entries and unread, as in the file
  std::vector<Part> parts_;
};

}  // namespace etseg
