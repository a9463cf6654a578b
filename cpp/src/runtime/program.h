// A program, read and checked; shared by the instances of its model.
#pragma once

#include <executorch/runtime/executor/program.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "etseg/model.h"
#include "etseg/status.h"
#include "runtime/pool.h"
#include "runtime/program_file.h"

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
  const ProgramFile& file() const { return *file_; }
  // Keeps the constants that a delegate let go of and goes on to read: to be called when an
  // instance was loaded, before anything is freed. The errors of load_models().
  Status keep_constants(const std::string& doing) const;
  // Held while an instance is loaded: what is read of the file, and how, is the program's.
  std::mutex& loading() const { return loading_; }

 private:
  Status read_claims(const std::string& doing);

  // In order of construction: each stands on the ones above it.
  const PoolUser pool_user_;
  mutable std::mutex loading_;
  ModelInfo info_;
  std::unique_ptr<ProgramFile> file_;
  std::optional<::executorch::runtime::Program> program_;
  mutable std::map<std::string, ::executorch::runtime::FreeableBuffer> kept_;  // by name
};

}  // namespace etseg
