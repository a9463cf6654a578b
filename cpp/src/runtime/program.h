// A program file, mapped and checked; shared by the instances of its model.
#pragma once

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/runtime/executor/program.h>

#include <optional>
#include <string>

#include "etseg/model.h"
#include "etseg/status.h"
#include "runtime/pool.h"

namespace etseg {

// The method that is run.
inline constexpr const char* kMethod = "forward";

class LoadedProgram {
 public:
  // The errors of load_models().
  Status load(const std::string& path);

  // Only once load() succeeded.
  const ::executorch::runtime::Program& operator*() const { return *program_; }
  const ModelInfo& info() const { return info_; }

 private:
  Status read_claims(const std::string& doing);

  // In order of construction: each stands on the ones above it.
  const PoolUser pool_user_;
  ModelInfo info_;
  std::optional<::executorch::extension::MmapDataLoader> loader_;
  std::optional<::executorch::runtime::Program> program_;
};

}  // namespace etseg
