// Every instruction set x executor x size x class count against the slow twin.
#include "etseg/postprocess.h"

#include "postprocess_case.h"
#include "thread_executor.h"

using etseg::Activation;
using etseg::Isa;
using etseg::LabelType;
using etseg::LogitsGrid;
using etseg::Postprocessor;

namespace {

// What float32 leaves of a probability when logits of this size are interpolated.
double tolerance_for(float range) { return 1e-6 + 2e-7 * static_cast<double>(range); }
double tie_for(float range) { return 1e-5 * std::max(1.0, static_cast<double>(range) / 16); }

// One field on one instruction set, written through the caches or past them: all executors give the
// same bits, wherever the maps lie, and the twin agrees.
void check_case(Isa isa, const Field& field, Activation activation, Size size, LabelType type,
                const std::vector<std::int64_t>& labels, double tolerance, double tie,
                const LogitsGrid& grid = {}) {
  const auto run = [&](std::int64_t past_caches) {
    Postprocessor runner(activation, isa, grid, past_caches);  // maps of at least so many bytes
    Maps serial(size, type, labels);
    CHECK(runner.run(field.view(), serial.target(), etseg::SerialExecutor()).ok());
    for (int threads : {1, 2, 3}) {
      Maps parallel(size, type, labels, static_cast<std::size_t>(threads == 3 ? 4 : 5 * threads));
      CHECK(runner.run(field.view(), parallel.target(), ThreadExecutor(threads)).ok());
      CHECK_MSG(serial.same_bits(parallel), "%s, %d threads", etseg::isa_name(isa), threads);
    }
    return serial;
  };
  const Maps past = run(0), through = run(std::int64_t{1} << 40);
  compare(field, activation, {&past, &through}, tolerance, tie, grid);
}

void check_sizes(std::int64_t channels, Activation activation,
                 const std::vector<std::int64_t>& labels, std::initializer_list<Size> sources,
                 std::initializer_list<Size> targets) {
  unsigned seed = 1;
  for (Isa isa : etseg::supported_isas()) {
    for (Size source : sources) {
      for (Size target : targets) {
        for (float range : {1.0F, 8.0F}) {
          const LabelType type = seed % 2 != 0 && etseg::label_count(channels, activation) <= 256
                                     ? LabelType::kUint8
                                     : LabelType::kInt32;
          Field field = seed % 3 != 0 ? smooth(channels, source, range, seed)
                                      : noise(channels, source, range, seed);
          if (activation == Activation::kNormalise) {
            for (float& x : field.values) x = std::abs(x);
          }
          ++seed;
          check_case(isa, field, activation, target, type, labels, tolerance_for(range),
                     tie_for(range));
        }
      }
    }
  }
}

}  // namespace

TEST(one_channel) {
  for (Activation activation : {Activation::kSigmoid, Activation::kNone, Activation::kSoftmax}) {
    check_sizes(1, activation, {0, 1}, {{1, 1}, {1, 7}, {9, 1}, {17, 23}, {33, 65}},
                {{1, 1}, {5, 3}, {17, 23}, {33, 65}, {64, 128}, {100, 37}});
  }
}

TEST(two_and_three_channels) {
  for (Activation activation : {Activation::kSoftmax, Activation::kNone}) {
    for (std::int64_t channels : {2, 3}) {
      check_sizes(channels, activation, all_labels(channels), {{1, 1}, {2, 30}, {19, 16}, {40, 41}},
                  {{1, 1}, {7, 130}, {19, 16}, {40, 41}, {131, 77}, {400, 48}});
    }
  }
}

TEST(pascal_sized) {
  check_sizes(21, Activation::kSoftmax, {0, 20, 7, 7}, {{1, 18}, {33, 33}, {48, 29}},
              {{33, 33}, {150, 190}, {47, 61}, {16, 9}, {340, 304}});
  check_sizes(21, Activation::kSoftmax, {}, {{33, 33}}, {{33, 33}, {150, 190}, {20, 250}});
  check_sizes(21, Activation::kNone, {3}, {{33, 33}}, {{33, 33}, {150, 192}, {20, 250}});
  check_sizes(21, Activation::kSoftmax, all_labels(21), {{20, 33}}, {{20, 33}, {97, 103}});
}

TEST(many_channels) {
  check_sizes(150, Activation::kSoftmax, {149}, {{13, 21}}, {{13, 21}, {39, 64}, {7, 5}});
  check_sizes(256, Activation::kSoftmax, {255, 31, 32}, {{5, 20}}, {{5, 20}, {22, 33}});
  check_sizes(1000, Activation::kSoftmax, {999, 500}, {{7, 18}}, {{7, 18}, {24, 40}});
}

// Labels that do not exclude each other, with "none of them" after the others.
TEST(each_channel_by_itself) {
  const Activation each = Activation::kSigmoid;
  for (std::int64_t channels : {2, 3}) {
    check_sizes(channels, each, all_labels(channels, each), {{1, 1}, {2, 30}, {19, 16}, {40, 41}},
                {{1, 1}, {7, 130}, {19, 16}, {40, 41}, {131, 77}, {400, 48}});
  }
  check_sizes(21, each, {0, 21, 7, 7}, {{33, 33}}, {{33, 33}, {150, 190}, {16, 9}});
  check_sizes(21, each, {}, {{33, 33}}, {{33, 33}, {150, 190}, {20, 250}});
  check_sizes(256, each, {256, 31}, {{5, 20}}, {{5, 20}, {22, 33}});
}

// Scores as shares of their sum.
TEST(shares) {
  const Activation shares = Activation::kNormalise;
  for (std::int64_t channels : {1, 2, 3}) {
    check_sizes(channels, shares, all_labels(channels), {{1, 1}, {2, 30}, {19, 16}, {40, 41}},
                {{1, 1}, {7, 130}, {19, 16}, {40, 41}, {131, 77}, {400, 48}});
  }
  check_sizes(21, shares, {0, 20, 7, 7}, {{33, 33}}, {{33, 33}, {150, 192}, {16, 9}});
  check_sizes(21, shares, {}, {{33, 33}}, {{33, 33}, {150, 190}, {20, 250}});
  check_sizes(256, shares, {255, 31}, {{5, 20}}, {{5, 20}, {22, 33}});
}

// Odd whole factors put target pixels exactly on source pixels.
TEST(whole_factors) {
  check_sizes(5, Activation::kSoftmax, {1, 4}, {{11, 20}},
              {{33, 60}, {55, 100}, {11, 60}, {22, 40}});
}

// Between neighbouring source pixels two classes move apart by up to four times `range`: the
// greatest part of them against the rest, or all at random.
TEST(smooth_cells) {
  for (Isa isa : etseg::supported_isas()) {
    for (std::int64_t channels : {2, 3, 21, 70}) {
      for (float range : {0.01F, 0.1F, 0.124F, 0.2F, 0.4F, 1.0F}) {
        Field field = noise(channels, {18, 21}, range, 9);
        if (range == 0.124F) {
          for (std::int64_t c = 0; c < channels; ++c) {
            for (std::int64_t y = 0; y < 18; ++y) {
              for (std::int64_t x = 0; x < 21; ++x) {
                field.at(c, y, x) = (c + y + x) % 2 == 0 ? range : -range;
              }
            }
          }
        }
        for (Size size : {Size{300, 336}, {71, 90}, {35, 60}, {18, 90}, {9, 200}}) {
          const std::vector<std::int64_t> labels = {0, channels - 1};
          check_case(isa, field, Activation::kSoftmax, size, LabelType::kInt32, labels, 9e-7, 1e-5);
        }
      }
    }
  }
}

// Probabilities next to nothing are as precise for their size as others, and none exceeds 1.
TEST(smooth_cells_of_unlikely_classes) {
  for (Isa isa : etseg::supported_isas()) {
    for (float depth : {0.0F, 5.0F, 20.0F, 40.0F}) {
      Field field = noise(3, {18, 21}, 0.1F, 4);
      for (std::int64_t y = 0; y < 18; ++y) {
        for (std::int64_t x = 0; x < 21; ++x) field.at(1, y, x) -= depth;
      }
      Postprocessor runner(Activation::kSoftmax, isa);
      Maps maps({200, 170}, LabelType::kInt32, {0, 1, 2});
      CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
      const SlowPostprocess twin(field.view(), Activation::kSoftmax, 200, 170);
      double worst = 0;
      for (std::size_t i = 0; i < maps.pixels(); ++i) {
        const SlowPixel slow =
            twin.at(static_cast<std::int64_t>(i) / 170, static_cast<std::int64_t>(i) % 170);
        for (std::size_t p = 0; p < 3; ++p) {
          const double exact = slow.probability[p];
          worst = std::max(worst, std::abs(maps.probability(p, i) - exact) / exact);
          CHECK(maps.probability(p, i) <= 1);
        }
      }
      CHECK_MSG(worst < 2.5e-6 + 1e-7 * static_cast<double>(depth),
                "%s, %g deep: off by %.3g of itself", etseg::isa_name(isa),
                static_cast<double>(depth), worst);
    }
  }
}

TEST(extreme_logits) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : {Size{14, 19}, {50, 70}, {140, 190}, {9, 5}}) {
      for (float range : {80.0F, 1e4F, 1e30F, 3.4e38F, 1e-40F}) {
        const Field field = noise(6, {14, 19}, range, 5);
        const double tie = std::max(1e-5, static_cast<double>(range) * 1e-6);
        // Beyond 2^126 logits count as 2^126: labels there may be ties that the twin knows apart.
        if (range > 8e37F) {
          Postprocessor runner(Activation::kSoftmax, isa);
          Maps maps(target, LabelType::kInt32, {0, 5});
          CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
          for (std::size_t i = 0; i < maps.pixels(); ++i) {
            CHECK(maps.probability(0, i) >= 0 && maps.probability(0, i) <= 1);
          }
          continue;
        }
        // At 1e4 a float32 logit between two pixels is itself 1e-3 off.
        check_case(isa, field, Activation::kSoftmax, target, LabelType::kInt32, {0, 5},
                   std::min(1.0, 1e-6 + 2e-7 * static_cast<double>(range)), tie);
      }
    }
  }
}
