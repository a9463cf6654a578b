// etseg/model.h on ExecuTorch: an instance, and another when that one is lost.
#pragma once

#include <memory>
#include <string>

#include "etseg/model.h"
#include "runtime/instance.h"
#include "runtime/packed_weights.h"
#include "runtime/program.h"

namespace etseg {

class ExecutorchModel final : public Model {
 public:
  // With packed weights, or null: then, and where they do not fit, it packs its own.
  ExecutorchModel(std::shared_ptr<const LoadedProgram> program, Threads threads, std::string doing,
                  std::shared_ptr<const PackedWeights> weights)
      : program_(std::move(program)),
        threads_(threads),
        doing_(std::move(doing)),
        weights_(std::move(weights)) {}

  // Once, at first. The errors of load_models().
  Status load();

  const ModelInfo& info() const override { return program_->info(); }
  bool shares_weights() const override { return weights_ != nullptr; }
  Result<void*> input() override;
  Result<ModelOutput> execute() override;

 private:
  Result<std::unique_ptr<LoadedInstance>> load_sharing() const;

  const std::shared_ptr<const LoadedProgram> program_;
  const Threads threads_;
  const std::string doing_;                       // begins the message of a failed load
  std::shared_ptr<const PackedWeights> weights_;  // null from when on they are no longer used
  // Null after an execute() that failed: the next input() makes another.
  std::unique_ptr<LoadedInstance> instance_;
};

}  // namespace etseg
