#include "program_interface.h"

#include <algorithm>
#include <array>

namespace etseg {
namespace {

constexpr const char* kExpects =
    ". A segmentation program takes one float32 image [1,3,H,W] or [3,H,W] and returns float32 "
    "logits or probabilities [1,C,H,W] or [C,H,W] first";

std::string describe(const TensorDescription& tensor) {
  if (!tensor.is_tensor) return "no tensor";
  return tensor.type + " " + shape_text(tensor.sizes) + " in the dimension order " +
         shape_text(tensor.dim_order);
}

// [1,C,H,W] or [C,H,W], float32, no empty side.
bool is_image(const TensorDescription& tensor) {
  const auto& sizes = tensor.sizes;
  return tensor.is_tensor && tensor.is_float32 &&
         (sizes.size() == 3 || (sizes.size() == 4 && sizes[0] == 1)) &&
         tensor.dim_order.size() == sizes.size() &&
         std::all_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size >= 1; });
}

// Whether channels (0), rows (1) and columns (2) lie in memory in this order, outermost first.
bool is_in_order(const TensorDescription& image, std::array<std::int64_t, 3> order) {
  const std::size_t batch = image.sizes.size() - 3;
  if (batch == 1 && image.dim_order[0] != 0) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    if (image.dim_order[batch + i] != static_cast<std::int64_t>(batch) + order[i]) return false;
  }
  return true;
}

bool is_planar(const TensorDescription& image) { return is_in_order(image, {0, 1, 2}); }
bool is_interleaved(const TensorDescription& image) { return is_in_order(image, {1, 2, 0}); }

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& sizes) {
  std::string text = "[";
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(sizes[i]);
  }
  return text + "]";
}

Result<ModelInfo> check_interface(const ProgramDescription& program) {
  if (program.inputs.size() != 1) {
    return Status(
        Code::kUnexpectedNumInputs,
        "the program takes " + std::to_string(program.inputs.size()) + " inputs" + kExpects);
  }
  const TensorDescription& input = program.inputs[0];
  if (!is_image(input) || !is_planar(input) || input.sizes[input.sizes.size() - 3] != 3) {
    return Status(Code::kWrongDimensions, "the program's input is " + describe(input) + kExpects);
  }
  if (program.outputs.empty()) {
    return Status(Code::kInvalidModelOutput, std::string("the program returns nothing") + kExpects);
  }
  const TensorDescription& output = program.outputs[0];
  if (!is_image(output) || !(is_planar(output) || is_interleaved(output))) {
    return Status(Code::kInvalidModelOutput,
                  "the program's first output is " + describe(output) + kExpects);
  }
  ModelInfo info;
  info.input_height = input.sizes[input.sizes.size() - 2];
  info.input_width = input.sizes[input.sizes.size() - 1];
  info.channels = output.sizes[output.sizes.size() - 3];
  info.output_height = output.sizes[output.sizes.size() - 2];
  info.output_width = output.sizes[output.sizes.size() - 1];
  info.output_layout = is_planar(output) ? LogitsLayout::kPlanar : LogitsLayout::kInterleaved;
  return info;
}

}  // namespace etseg
