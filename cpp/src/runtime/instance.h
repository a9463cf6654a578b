// A program, ready to run: its plan, its delegates, and memory for what goes in and out.
#pragma once

#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/executor/method_meta.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aligned_buffer.h"
#include "etseg/log.h"
#include "etseg/model.h"
#include "runtime/method.h"
#include "runtime/program.h"
#include "runtime/weights_cache.h"

namespace etseg {

// How a delegate runs, bound when it is loaded.
enum class Threads { kPool, kCaller };

class LoadedInstance {
 public:
  // The program must outlive the instance. The errors of load_models().
  Status load(const LoadedProgram& program, Threads threads, const std::string& doing);

  // With packed weights, or to record them: see WeightsCache. Whether they fit is to be asked.
  Status load(const LoadedProgram& program, Threads threads, const std::string& doing,
              std::unique_ptr<WeightsCache> weights);
  const WeightsCache& weights() const { return *weights_; }

  // Only once load() succeeded. After an execute() that failed nothing of a delegate can be relied
  // on: what XNNPACK, for one, could not lay out for lack of memory it takes as laid out when it is
  // called again, and writes to nowhere. Destroy it.
  void* input() { return input_; }
  Result<ModelOutput> execute(const ModelInfo& info);

 private:
  Status bind_input(const ::executorch::runtime::TensorInfo& info, const std::string& doing,
                    const LogCapture& log);
  Status bind_outputs(const std::string& doing, const LogCapture& log);

  // In order of construction: each stands on the ones above it.
  std::unique_ptr<WeightsCache> weights_;
  AlignedBuffer input_buffer_;
  std::vector<::executorch::aten::SizesType> input_sizes_;
  std::vector<::executorch::aten::DimOrderType> input_dim_order_;
  std::vector<::executorch::aten::StridesType> input_strides_;
  std::optional<::executorch::aten::TensorImpl> input_tensor_;
  std::vector<AlignedBuffer> output_buffers_;
  LoadedMethod method_;
  void* input_ = nullptr;
};

}  // namespace etseg
