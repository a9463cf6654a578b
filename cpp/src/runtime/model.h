// etseg/model.h on ExecuTorch: an instance, and another when that one is lost.
#pragma once

#include <memory>
#include <string>

#include "etseg/model.h"
#include "runtime/instance.h"
#include "runtime/program.h"

namespace etseg {

class ExecutorchModel final : public Model {
 public:
  ExecutorchModel(std::shared_ptr<const LoadedProgram> program, Threads threads, std::string doing)
      : program_(std::move(program)), threads_(threads), doing_(std::move(doing)) {}

  // Once, at first. The errors of load_models().
  Status load();

  const ModelInfo& info() const override { return program_->info(); }
  Result<float*> input() override;
  Result<LogitsView> execute() override;

 private:
  const std::shared_ptr<const LoadedProgram> program_;
  const Threads threads_;
  const std::string doing_;  // begins the message of a failed load
  // Null after an execute() that failed: the next input() makes another.
  std::unique_ptr<LoadedInstance> instance_;
};

}  // namespace etseg
