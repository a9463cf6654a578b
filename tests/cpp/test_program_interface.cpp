// Which programs are segmentation programs, and what is read off their tensors.
#include "program_interface.h"

#include <vector>

#include "check.h"

namespace {

using etseg::Code;
using etseg::LogitsLayout;
using etseg::ModelInfo;
using etseg::TensorDescription;
using Sizes = std::vector<std::int64_t>;

TensorDescription tensor(const char* type, Sizes sizes, Sizes order = {}) {
  if (order.empty()) {
    for (std::size_t i = 0; i < sizes.size(); ++i) order.push_back(static_cast<std::int64_t>(i));
  }
  return {true, type, std::move(sizes), std::move(order)};
}

const TensorDescription kImage = tensor("Float", {1, 3, 8, 12});
const TensorDescription kScores = tensor("Float", {1, 5, 4, 6});

ModelInfo accepted(const TensorDescription& input, const TensorDescription& output) {
  const auto info = etseg::check_interface({{input}, {output}});
  CHECK_MSG(info.ok(), "%s", info.status().message().c_str());
  return info.ok() ? info.value() : ModelInfo();
}

void check_input(const TensorDescription& input, bool bytes, bool interleaved, Sizes size) {
  const ModelInfo info = accepted(input, kScores);
  CHECK(info.input_format.bytes == bytes);
  CHECK(info.input_format.interleaved == interleaved);
  CHECK((Sizes{info.input_height, info.input_width}) == size);
}

}  // namespace

TEST(images_that_programs_take) {
  for (const char* type : {"Float", "Byte"}) {
    const bool bytes = type[0] == 'B';
    check_input(tensor(type, {1, 3, 8, 12}), bytes, false, {8, 12});
    check_input(tensor(type, {3, 8, 12}), bytes, false, {8, 12});
    check_input(tensor(type, {1, 3, 8, 12}, {0, 2, 3, 1}), bytes, true, {8, 12});
    check_input(tensor(type, {1, 8, 12, 3}), bytes, true, {8, 12});
    check_input(tensor(type, {8, 12, 3}), bytes, true, {8, 12});
    check_input(tensor(type, {1, 3, 9, 3}), bytes, false, {9, 3});  // could be either
  }
}

TEST(images_that_they_do_not) {
  for (const TensorDescription& input :
       {tensor("Int", {1, 3, 8, 12}), tensor("Half", {1, 3, 8, 12}), tensor("Float", {1, 4, 8, 12}),
        tensor("Float", {2, 3, 8, 12}), tensor("Float", {1, 1, 3, 8, 12}), tensor("Float", {3, 8}),
        tensor("Float", {1, 3, 0, 12}), tensor("Float", {1, 3, 8, 12}, {0, 1, 3, 2}),
        tensor("Byte", {1, 8, 12, 3}, {0, 3, 1, 2}), tensor("Float", {1, 8, 12, 4}),
        TensorDescription()}) {
    CHECK(etseg::check_interface({{input}, {kScores}}).status().code() == Code::kWrongDimensions);
  }
}

TEST(scores) {
  ModelInfo info = accepted(kImage, kScores);
  CHECK(info.channels == 5 && info.output_height == 4 && info.output_width == 6);
  CHECK(info.output_layout == LogitsLayout::kPlanar);
  info = accepted(kImage, tensor("Float", {1, 5, 4, 6}, {0, 2, 3, 1}));
  CHECK(info.channels == 5 && info.output_layout == LogitsLayout::kInterleaved);
  CHECK(accepted(kImage, tensor("Float", {1, 4, 6})).channels == 1);
}

TEST(label_maps) {
  for (const char* type : {"Byte", "Int", "Long"}) {
    for (const TensorDescription& output :
         {tensor(type, {1, 1, 4, 6}), tensor(type, {1, 1, 4, 6}, {0, 2, 3, 1}),
          tensor(type, {1, 4, 6}), tensor(type, {4, 6})}) {
      const ModelInfo info = accepted(kImage, output);
      CHECK(info.channels == 0 && info.output_height == 4 && info.output_width == 6);
    }
  }
}

TEST(outputs_that_are_neither) {
  for (const TensorDescription& output :
       {tensor("Long", {1, 2, 4, 6}), tensor("Long", {2, 4, 6}), tensor("Long", {1, 1, 1, 4, 6}),
        tensor("Long", {1, 0, 6}), tensor("Long", {1, 4, 6}, {0, 2, 1}), tensor("Long", {6}),
        tensor("Bool", {1, 4, 6}), tensor("Double", {1, 5, 4, 6}), tensor("Float", {4, 6}),
        tensor("Float", {1, 1, 5, 4, 6}), tensor("Float", {2, 5, 4, 6}), TensorDescription()}) {
    CHECK(etseg::check_interface({{kImage}, {output}}).status().code() ==
          Code::kInvalidModelOutput);
  }
  CHECK(etseg::check_interface({{kImage}, {}}).status().code() == Code::kInvalidModelOutput);
  CHECK(etseg::check_interface({{}, {kScores}}).status().code() == Code::kUnexpectedNumInputs);
}
