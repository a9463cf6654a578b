#include "program_interface.h"

#include <algorithm>
#include <initializer_list>

namespace etseg {
namespace {

constexpr const char* kExpects =
    ". A segmentation program takes one image, float32 or uint8, [1,3,H,W], [3,H,W] or [1,H,W,3], "
    "and returns first float32 logits or probabilities [1,C,H,W] or [C,H,W], or labels (uint8, "
    "int32 or int64) [1,1,H,W] or [1,H,W]";

std::string describe(const TensorDescription& tensor) {
  if (!tensor.is_tensor) return "no tensor";
  return tensor.type + " " + shape_text(tensor.sizes) + " in the dimension order " +
         shape_text(tensor.dim_order);
}

bool is_of(const TensorDescription& tensor, std::initializer_list<const char*> types) {
  return tensor.is_tensor && std::find(types.begin(), types.end(), tensor.type) != types.end();
}

// A tensor of one image seen as its last `rank` dimensions: nothing else is in it.
struct Last {
  Last(const TensorDescription& tensor, std::size_t rank) {
    const auto& all = tensor.sizes;
    if (all.size() < rank || tensor.dim_order.size() != all.size()) return;
    const std::size_t before = all.size() - rank;
    for (std::size_t i = 0; i < before; ++i) {
      if (all[i] != 1 || tensor.dim_order[i] != static_cast<std::int64_t>(i)) return;
    }
    if (std::any_of(all.begin(), all.end(), [](std::int64_t size) { return size < 1; })) return;
    for (std::size_t i = before; i < all.size(); ++i) {
      sizes.push_back(all[i]);
      order.push_back(tensor.dim_order[i] - static_cast<std::int64_t>(before));
    }
  }

  bool lies(const std::vector<std::int64_t>& wanted) const { return order == wanted; }

  std::vector<std::int64_t> sizes;  // empty: it is none
  std::vector<std::int64_t> order;  // outermost in memory first
};

const std::vector<std::int64_t> kInOrder = {0, 1, 2}, kChannelsLast = {1, 2, 0};

// At most one dimension before those of an image.
bool is_one_image(const TensorDescription& tensor) {
  return tensor.sizes.size() == 3 || tensor.sizes.size() == 4;
}

bool read_input(const TensorDescription& tensor, ModelInfo& info) {
  const Last image(tensor, 3);
  if (!is_of(tensor, {"Float", "Byte"}) || !is_one_image(tensor) || image.sizes.empty()) {
    return false;
  }
  info.input_format.bytes = tensor.type == "Byte";
  const auto& sizes = image.sizes;
  if (sizes[0] == 3 && (image.lies(kInOrder) || image.lies(kChannelsLast))) {
    info.input_height = sizes[1];
    info.input_width = sizes[2];
    info.input_format.interleaved = !image.lies(kInOrder);
    return true;
  }
  info.input_height = sizes[0];
  info.input_width = sizes[1];
  info.input_format.interleaved = true;
  return sizes[2] == 3 && image.lies(kInOrder);
}

bool read_scores(const TensorDescription& tensor, ModelInfo& info) {
  const Last scores(tensor, 3);
  if (!is_of(tensor, {"Float"}) || !is_one_image(tensor) || scores.sizes.empty()) return false;
  info.channels = scores.sizes[0];
  info.output_height = scores.sizes[1];
  info.output_width = scores.sizes[2];
  info.output_layout = scores.lies(kInOrder) ? LogitsLayout::kPlanar : LogitsLayout::kInterleaved;
  return scores.lies(kInOrder) || scores.lies(kChannelsLast);
}

bool read_labels(const TensorDescription& tensor, ModelInfo& info) {
  const bool is_map = is_of(tensor, {"Byte", "Int", "Long"}) && tensor.sizes.size() <= 4;
  // With one channel, channels-last is the same memory.
  const Last map(tensor, tensor.sizes.size() == 4 ? 3 : 2);
  if (!is_map || map.sizes.empty()) return false;
  const auto& sizes = map.sizes;
  info.channels = 0;
  info.output_height = sizes[sizes.size() - 2];
  info.output_width = sizes[sizes.size() - 1];
  if (sizes.size() == 2) return map.lies({0, 1});
  return sizes[0] == 1 && (map.lies(kInOrder) || map.lies(kChannelsLast));
}

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
  ModelInfo info;
  const TensorDescription& input = program.inputs[0];
  if (!read_input(input, info)) {
    return Status(Code::kWrongDimensions, "the program's input is " + describe(input) + kExpects);
  }
  if (program.outputs.empty()) {
    return Status(Code::kInvalidModelOutput, std::string("the program returns nothing") + kExpects);
  }
  const TensorDescription& output = program.outputs[0];
  if (!read_scores(output, info) && !read_labels(output, info)) {
    return Status(Code::kInvalidModelOutput,
                  "the program's first output is " + describe(output) + kExpects);
  }
  return info;
}

}  // namespace etseg
