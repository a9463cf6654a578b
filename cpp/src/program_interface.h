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
  std::string type;        // "Float", "Byte", "Int", "Long", ...
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> dim_order;  // outermost dimension first
};

struct ProgramDescription {
  std::vector<TensorDescription> inputs;
  std::vector<TensorDescription> outputs;
};

// "[1,3,256,256]"
std::string shape_text(const std::vector<std::int64_t>& sizes);

// One input, float32 or uint8: [1,3,H,W] or [3,H,W], planar or channels-last, or [1,H,W,3] or
// [H,W,3]. A first output that is float32 [1,C,H,W] or [C,H,W], planar or channels-last; or uint8,
// int32 or int64 [1,1,H,W], [1,H,W] or [H,W], a label map. What could be read as two layouts (an
// image 3 pixels high) has its channels first. kUnexpectedNumInputs, kWrongDimensions,
// kInvalidModelOutput.
Result<ModelInfo> check_interface(const ProgramDescription& program);

}  // namespace etseg
