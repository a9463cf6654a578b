// One instance of a program: etseg/model.h, on ExecuTorch.
#pragma once

#include <executorch/runtime/core/exec_aten/exec_aten.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aligned_buffer.h"
#include "etseg/log.h"
#include "etseg/model.h"
#include "runtime/method.h"
#include "runtime/program.h"

namespace etseg {

class ExecutorchModel final : public Model {
 public:
  // `alone`: runs on its caller's thread, beside others of its kind.
  ExecutorchModel(std::shared_ptr<const LoadedProgram> program, bool alone)
      : program_(std::move(program)), info_(program_->info()), alone_(alone) {}

  Status load(const std::string& doing);

  const ModelInfo& info() const override { return info_; }
  float* input() override { return input_; }
  Result<LogitsView> execute() override;

 private:
  Status bind_input(::executorch::runtime::Span<const std::int32_t> sizes, const std::string& doing,
                    const LogCapture& log);
  Status bind_outputs(const std::string& doing, const LogCapture& log);

  // In order of construction: each stands on the ones above it.
  const std::shared_ptr<const LoadedProgram> program_;
  const ModelInfo& info_;
  const bool alone_;
  AlignedBuffer input_buffer_;
  std::vector<::executorch::aten::SizesType> input_sizes_;
  std::vector<::executorch::aten::DimOrderType> input_dim_order_;
  std::vector<::executorch::aten::StridesType> input_strides_;
  std::optional<::executorch::aten::TensorImpl> input_tensor_;
  std::vector<AlignedBuffer> output_buffers_;
  LoadedMethod method_;
  float* input_ = nullptr;
};

}  // namespace etseg
