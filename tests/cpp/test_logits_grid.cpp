// Logits whose corners are aligned with those of the head that was cut off.
#include "etseg/logits_grid.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "etseg/postprocess.h"
#include "postprocess/upsample_plan.h"
#include "postprocess_case.h"
#include "thread_executor.h"

using etseg::Activation;
using etseg::axis_map;
using etseg::Code;
using etseg::Isa;
using etseg::LabelType;
using etseg::LogitsGrid;
using etseg::LogitsGridKind;
using etseg::Postprocessor;

namespace {

LogitsGrid corners(Size head) { return {LogitsGridKind::kAlignCorners, head.height, head.width}; }

void check_grid(Isa isa, const Field& field, Activation activation, const LogitsGrid& grid,
                Size target, const std::vector<std::int64_t>& labels) {
  for (std::int64_t past_caches : {std::int64_t{0}, std::int64_t{1} << 40}) {
    Postprocessor postprocessor(activation, isa, grid, past_caches);
    Maps serial(target, LabelType::kInt32, labels);
    CHECK(postprocessor.run(field.view(), serial.target(), etseg::SerialExecutor()).ok());
    compare(field, activation, serial, 2.6e-6, 1e-5, grid);
    Maps parallel(target, LabelType::kInt32, labels, 5);
    CHECK(postprocessor.run(field.view(), parallel.target(), ThreadExecutor(3)).ok());
    CHECK_MSG(serial.same_bits(parallel), "%s", etseg::isa_name(isa));
  }
}

}  // namespace

// The image as large as the head's output, larger, smaller, and as large as the logits.
TEST(aligned_corners) {
  for (Isa isa : etseg::supported_isas()) {
    for (std::int64_t channels : {1, 2, 5, 21}) {
      const Activation activation = channels == 1 ? Activation::kSigmoid : Activation::kSoftmax;
      for (const auto& [source, head] :
           {std::pair{Size{33, 33}, Size{257, 257}}, {{9, 17}, {65, 129}}, {{20, 18}, {97, 40}}}) {
        const Field field = smooth(channels, source, 8, 3);
        for (Size target : {head, Size{300, 336}, {40, 23}, source}) {
          check_grid(isa, field, activation, corners(head), target,
                     {0, etseg::label_count(channels) - 1});
        }
      }
    }
  }
}

TEST(aligned_corners_of_few_logits) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size source : {Size{1, 1}, {1, 18}, {19, 1}, {2, 2}}) {
      for (Size head : {Size{1, 1}, {8, 1}, {33, 129}, {2, 2}}) {
        const Field field = noise(4, source, 4, 5);
        check_grid(isa, field, Activation::kSoftmax, corners(head), {31, 50}, {3});
        check_grid(isa, field, Activation::kNone, corners(head), {1, 1}, {3});
      }
    }
  }
}

TEST(aligned_corners_of_nan) {
  for (Isa isa : etseg::supported_isas()) {
    Field field = smooth(3, {17, 18}, 4, 11);
    field.at(1, 0, 0) = NAN;
    field.at(2, 16, 17) = INFINITY;
    field.at(0, 8, 9) = NAN;
    // With 16 and 8 steps of the head to a logit, pixels of its size lie on logits exactly: those
    // have one source.
    check_grid(isa, field, Activation::kSoftmax, corners({257, 137}), {257, 137}, {0, 2});
    check_grid(isa, field, Activation::kSoftmax, corners({257, 137}), {100, 99}, {0, 2});
  }
}

// torch.nn.functional.interpolate(..., align_corners=True): value j of N at logit j (n - 1)/(N -
// 1).
TEST(an_image_of_the_heads_size_is_what_the_head_gives) {
  Field ramp(2, {5, 9});
  for (std::int64_t y = 0; y < 5; ++y) {
    for (std::int64_t x = 0; x < 9; ++x) {
      ramp.at(0, y, x) = static_cast<float>(x);
      ramp.at(1, y, x) = static_cast<float>(10 * y);
    }
  }
  for (Isa isa : etseg::supported_isas()) {
    Postprocessor postprocessor(Activation::kNone, isa, corners({21, 57}));
    Maps maps({21, 57}, LabelType::kInt32, {0, 1});
    CHECK(postprocessor.run(ramp.view(), maps.target(), etseg::SerialExecutor()).ok());
    for (std::size_t i = 0; i < maps.pixels(); ++i) {
      const auto x = static_cast<double>(i % 57), y = static_cast<double>(i / 57);
      CHECK(std::abs(maps.probability(0, i) - x * 8 / 56) < 1e-6);
      CHECK(std::abs(maps.probability(1, i) - y * 40 / 20) < 4e-6);
    }
    CHECK(maps.probability(0, 0) == 0 && maps.probability(0, 56) == 8);
    CHECK(maps.probability(1, 0) == 0 && maps.probability(1, maps.pixels() - 1) == 40);
  }
}

TEST(own_points_are_the_logits_whatever_the_grid) {
  const Field field = noise(3, {20, 30}, 5, 2);
  for (Isa isa : etseg::supported_isas()) {
    Postprocessor plain(Activation::kSoftmax, isa);
    Postprocessor aligned(Activation::kSoftmax, isa, corners({160, 240}));
    Maps expected({20, 30}, LabelType::kInt32, {0, 1, 2}), between = expected, own = expected;
    CHECK(plain.run(field.view(), expected.target(), etseg::SerialExecutor()).ok());
    CHECK(aligned.run(field.view(), between.target(), etseg::SerialExecutor()).ok());
    CHECK(!between.same_bits(expected));
    etseg::PostprocessTarget target = own.target();
    target.own_points = true;
    CHECK(aligned.run(field.view(), target, etseg::SerialExecutor()).ok());
    CHECK(own.same_bits(expected));

    Maps other({20, 31}, LabelType::kInt32, {});
    target = other.target();
    target.own_points = true;
    const etseg::Status status = aligned.run(field.view(), target, etseg::SerialExecutor());
    CHECK(status.code() == Code::kInvalidUserInput);
    CHECK(status.message().find("20x30") != std::string::npos);
  }
}

// The plan of half-pixel centres is the one for a head that enlarges nothing.
TEST(maps_of_an_axis) {
  CHECK(axis_map(LogitsGridKind::kHalfPixel, 0, 33, 33)->is_identity());
  CHECK(!axis_map(LogitsGridKind::kHalfPixel, 0, 33, 66)->is_identity());
  CHECK(axis_map(LogitsGridKind::kAlignCorners, 33, 33, 33)->is_identity());
  CHECK(!axis_map(LogitsGridKind::kAlignCorners, 257, 33, 33)->is_identity());
  for (std::int64_t target : {33, 100, 4032}) {
    CHECK(axis_map(LogitsGridKind::kAlignCorners, 33, 33, target) ==
          axis_map(LogitsGridKind::kHalfPixel, 0, 33, target));
  }
  const std::int64_t huge = (std::int64_t{1} << 31) - 100;
  CHECK(axis_map(LogitsGridKind::kHalfPixel, 0, huge, huge).has_value());
  CHECK(!axis_map(LogitsGridKind::kAlignCorners, huge, huge - 2, huge).has_value());
}

TEST(what_cannot_be_counted_is_refused) {
  const Field field(2, {3, 3});
  for (Size head : {Size{0, 5}, {5, 0}, {-1, 5}, {5, std::int64_t{1} << 40}}) {
    Postprocessor postprocessor(Activation::kSoftmax, etseg::supported_isas().back(),
                                corners(head));
    Maps maps({4, 4}, LabelType::kInt32, {0});
    const Maps before = maps;
    const etseg::Status status =
        postprocessor.run(field.view(), maps.target(), etseg::SerialExecutor());
    CHECK(status.code() == Code::kInvalidUserInput);
    CHECK(status.message().find(std::to_string(head.height)) != std::string::npos);
    CHECK(maps.same_bits(before));
  }
}
