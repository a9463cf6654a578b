// What a program says about its inputs and outputs, and whether that is a segmentation program.
// Plain data, so that the rules can be read and tested without a runtime.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "etseg/model.h"
#include "etseg/status.h"

namespace etseg {

struct TensorDescription {
  bool is_tensor = false;  // nothing below holds otherwise
  std::string type;        // "Float", "Long", ...
  bool is_float32 = false;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> dim_order;  // outermost dimension first
};

struct ProgramDescription {
  std::vector<TensorDescription> inputs;
  std::vector<TensorDescription> outputs;
};

// "[1,3,256,256]"
std::string shape_text(const std::vector<std::int64_t>& sizes);

// One float32 input [1,3,H,W] or [3,H,W]; a first output that is float32 [1,C,H,W] or [C,H,W],
// planar or channels-last. kUnexpectedNumInputs, kWrongDimensions, kInvalidModelOutput.
Result<ModelInfo> check_interface(const ProgramDescription& program);

}  // namespace etseg
