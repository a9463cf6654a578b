// The rules at the edges: ties, NaN, errors, reuse, memory bounds, and the exponential.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "etseg/postprocess.h"
#include "kernels/kernels.h"
#include "postprocess_case.h"
#include "thread_executor.h"

using etseg::Activation;
using etseg::Code;
using etseg::Isa;
using etseg::LabelType;
using etseg::Postprocessor;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Size kTargets[] = {{19, 21}, {57, 63}, {95, 42}, {300, 280}, {8, 33}, {1, 1}};

// Logits that end where readable memory does.
class AtTheEdge {
 public:
  explicit AtTheEdge(const Field& field) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = field.values.size() * sizeof(float);
    whole_ = (bytes + page - 1) / page * page;
    size_ = whole_ + 2 * page;
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto* first = static_cast<std::uint8_t*>(memory_) + page;
    data_ = reinterpret_cast<float*>(first + whole_ - bytes);
    std::memcpy(data_, field.values.data(), bytes);
    CHECK(mprotect(first - page, page, PROT_NONE) == 0);
    CHECK(mprotect(first, whole_, PROT_READ) == 0);  // nor may anything be written there
    CHECK(mprotect(first + whole_, page, PROT_NONE) == 0);
  }
  ~AtTheEdge() { munmap(memory_, size_); }
  AtTheEdge(const AtTheEdge&) = delete;
  AtTheEdge& operator=(const AtTheEdge&) = delete;
  const float* data() const { return data_; }

 private:
  void* memory_;
  float* data_;
  std::size_t whole_, size_;
};

}  // namespace

TEST(exponential) {
  for (Isa isa : etseg::supported_isas()) {
    const auto exp = etseg::kernels_for(isa).postprocess.exp;
    std::vector<float> x;
    for (float v = -87.0F; v < 88.0F; v += 1.37e-4F) x.push_back(v);
    std::vector<float> y(x.size());
    exp(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      worst = std::max(worst, std::abs(y[i] - exact) / exact);
    }
    CHECK_MSG(worst < 1.5e-7, "%s: relative error %.3g", etseg::isa_name(isa), worst);

    const float edge[] = {0.0F, -0.0F, -1e-9F, -6e-8F, -1e-3F, -87.5F, -1e4F, -kInfinity, 1e4F};
    float result[9];
    exp(edge, result, 9);
    CHECK(result[0] == 1 && result[1] == 1);
    for (int i = 2; i < 8; ++i) CHECK(result[i] <= 1);
    for (int i = 5; i < 8; ++i) CHECK(result[i] == 0);
    CHECK(result[8] > 1e38F);
  }
}

TEST(ties_go_to_the_lowest_index) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (Activation activation : {Activation::kSoftmax, Activation::kNone}) {
        Postprocessor runner(activation, isa);
        const Field constant(7, {19, 21}, 0.7F);
        Maps maps(target, LabelType::kInt32, {});
        CHECK(runner.run(constant.view(), maps.target(), ThreadExecutor(2)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) CHECK(maps.label(i) == 0);

        // Classes 3 to 5 repeat 0 to 2: those never win.
        Field repeated = noise(6, {19, 21}, 3, 8);
        const auto half = static_cast<std::ptrdiff_t>(repeated.values.size() / 2);
        std::copy_n(repeated.values.begin(), half, repeated.values.begin() + half);
        CHECK(runner.run(repeated.view(), maps.target(), ThreadExecutor(2)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) CHECK(maps.label(i) < 3);
      }
      // One channel: one half is label 0.
      Postprocessor runner(Activation::kNone, isa);
      Maps maps(target, LabelType::kUint8, {0, 1});
      CHECK(runner.run(Field(1, {19, 21}, 0.5F).view(), maps.target(), ThreadExecutor(2)).ok());
      for (std::size_t i = 0; i < maps.pixels(); ++i) {
        CHECK(maps.label(i) == 0 && maps.probability(0, i) == 0.5F);
      }
    }
  }
}

// The label is that of the map: with one channel to the bit, else up to rounding.
TEST(argmax_is_that_of_the_maps) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (float range : {2e-7F, 1e-3F, 1.0F, 12.0F}) {
        Postprocessor one(Activation::kSigmoid, isa);
        const Field field = noise(1, {19, 21}, range, 3);
        Maps maps(target, LabelType::kInt32, {0});
        CHECK(one.run(field.view(), maps.target(), ThreadExecutor(3)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) {
          CHECK(maps.label(i) == (maps.probability(0, i) < 0.5F ? 1 : 0));
        }
        Postprocessor many(Activation::kSoftmax, isa);
        const Field classes = noise(9, {19, 21}, range, 4);
        Maps all(target, LabelType::kInt32, all_labels(9));
        CHECK(many.run(classes.view(), all.target(), ThreadExecutor(3)).ok());
        for (std::size_t i = 0; i < all.pixels(); ++i) {
          float greatest = 0;
          float sum = 0;
          for (std::size_t c = 0; c < 9; ++c) {
            greatest = std::max(greatest, all.probability(c, i));
            sum += all.probability(c, i);
          }
          CHECK(all.probability(static_cast<std::size_t>(all.label(i)), i) > greatest - 3e-6F);
          CHECK(std::abs(sum - 1) < 1e-5F);
        }
      }
    }
  }
}

// compare() demands NaN and label 0 exactly where a source with weight is not finite.
TEST(non_finite_logits) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (std::int64_t channels : {1, 4}) {
        for (float poison : {kNaN, kInfinity, -kInfinity}) {
          Field field = smooth(channels, {19, 21}, 4, 11);
          field.at(channels - 1, 0, 0) = poison;
          field.at(0, 9, 10) = poison;
          field.at(channels / 2, 18, 20) = poison;
          const Activation activation = channels == 1 ? Activation::kSigmoid : Activation::kSoftmax;
          Postprocessor runner(activation, isa);
          Maps maps(target, LabelType::kInt32, {1, 0});
          CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
          compare(field, activation, maps, 2e-6, 1e-5);
          if (channels == 1) continue;
          for (float& x : field.values) x = std::abs(x);
          Postprocessor shares(Activation::kNormalise, isa);
          CHECK(shares.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
          compare(field, Activation::kNormalise, maps, 2e-6, 1e-5);
        }
        Field none(channels, {19, 21}, kNaN);
        Postprocessor runner(Activation::kNone, isa);
        Maps maps(target, LabelType::kUint8, {0});
        CHECK(runner.run(none.view(), maps.target(), ThreadExecutor(2)).ok());
        compare(none, Activation::kNone, maps, 0, 0);
      }
    }
  }
}

// The same past the caches. At these widths whole lines are streamed: of the maps where vectors are
// as long as a line and it is known where lines begin (`streamed`, not `stored`), of labels always.
TEST(non_finite_logits_past_the_caches) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : {Size{57, 64}, {96, 336}, {9, 16}}) {
      for (std::int64_t channels : {1, 4}) {
        const Activation usual = channels == 1 ? Activation::kSigmoid : Activation::kSoftmax;
        for (Activation activation : {usual, Activation::kNone}) {
          Field field = smooth(channels, {19, 21}, 4, 11);
          field.at(channels - 1, 0, 0) = kNaN;
          field.at(0, 9, 10) = kInfinity;
          field.at(channels / 2, 18, 20) = -kInfinity;
          Postprocessor runner(activation, isa, {}, 0);
          Maps streamed(target, LabelType::kInt32, {1, 0});
          CHECK(runner.run(field.view(), streamed.target(), ThreadExecutor(2)).ok());
          compare(field, activation, streamed, 2e-6, 1e-5);
          Maps stored(target, LabelType::kInt32, {1, 0}, 5);
          CHECK(runner.run(field.view(), stored.target(), ThreadExecutor(2)).ok());
          CHECK_MSG(streamed.same_bits(stored), "%s", etseg::isa_name(isa));
        }
      }
    }
  }
}

// A finite logit that is the lowest float masks a class out; it is no infinity.
TEST(masked_class) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      Field field = smooth(3, {19, 21}, 4, 2);
      for (std::int64_t y = 0; y < 19; ++y) {
        for (std::int64_t x = 0; x < 21; ++x)
          field.at(1, y, x) = std::numeric_limits<float>::lowest();
      }
      Postprocessor runner(Activation::kSoftmax, isa);
      Maps maps(target, LabelType::kInt32, {0, 1, 2});
      CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
      compare(field, Activation::kSoftmax, maps, 2e-6, 1e-5);
    }
  }
}

// A jump of 100 between neighbours: too steep for geometric sequences, still a softmax.
TEST(steep_edges) {
  for (Isa isa : etseg::supported_isas()) {
    for (float height : {6.0F, 30.0F, 50.0F, 100.0F, 400.0F}) {
      Field field(5, {6, 20});
      for (std::int64_t y = 0; y < 6; ++y) {
        for (std::int64_t x = 0; x < 20; ++x) {
          field.at((y / 2 + x / 5) % 5, y, x) = height;
          field.at(4, y, x) -= height / 2;
        }
      }
      Postprocessor runner(Activation::kSoftmax, isa);
      Maps maps({120, 130}, LabelType::kInt32, all_labels(5));
      CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
      compare(field, Activation::kSoftmax, maps, 1e-6 + 1e-7 * static_cast<double>(height),
              1e-5 * std::max(1.0, static_cast<double>(height) / 16));
    }
  }
}

TEST(reads_nothing_beyond_the_logits) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size source : {Size{1, 1}, {1, 15}, {1, 17}, {5, 16}, {3, 3}, {4, 41}, {16, 64}}) {
      for (Size target : {source, Size{1, 1}, {3, 50}, {33, 9}, {64, 64}, {80, 200}}) {
        for (std::int64_t channels : {1, 3, 40}) {
          const Field field = noise(channels, source, 2, 6);
          const AtTheEdge edge(field);
          Postprocessor runner(Activation::kSoftmax, isa);
          Maps maps(target, LabelType::kInt32, {0, 1});
          const etseg::LogitsView view = {edge.data(), channels, source.height, source.width};
          CHECK(runner.run(view, maps.target(), ThreadExecutor(2)).ok());
          compare(field, Activation::kSoftmax, maps, 2e-6, 1e-5);
        }
      }
    }
  }
}

TEST(one_object_many_sizes) {
  for (Isa isa : etseg::supported_isas()) {
    Postprocessor runner(Activation::kSoftmax, isa);
    unsigned seed = 0;
    for (int round = 0; round < 2; ++round) {
      for (Size source : {Size{30, 33}, {7, 5}, {12, 60}}) {
        for (Size target : {Size{50, 45}, {30, 33}, {9, 9}, {50, 45}}) {
          ++seed;
          Field field = smooth(3 + 5 * (seed % 3), source, 6, seed);
          if (seed % 4 == 0) field.at(1, 2, 3) = kNaN;
          Maps maps(target, LabelType::kInt32, {2});
          CHECK(
              runner
                  .run(field.view(), maps.target(), ThreadExecutor(1 + static_cast<int>(seed % 3)))
                  .ok());
          compare(field, Activation::kSoftmax, maps, 3e-6, 1e-5);
        }
      }
    }
  }
}

// All below one half: none of them. A tie is not below.
TEST(none_of_labels_that_do_not_exclude_each_other) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (const auto& [logit, expected] : {std::pair{-1e-3F, 2}, {0.0F, 0}, {kNaN, 0}}) {
        const Field field(2, {19, 21}, logit);
        Postprocessor runner(Activation::kSigmoid, isa);
        Maps maps(target, LabelType::kInt32, {0, 2});
        CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) {
          CHECK(maps.label(i) == expected);
          CHECK(std::isnan(maps.probability(0, i)) == std::isnan(logit));
          CHECK(std::isnan(maps.probability(1, i)) == std::isnan(logit));
        }
      }
    }
  }
}

// Of scores, ARGMAX is the greatest, as if they were left as they are; the shares sum to one.
TEST(shares_of_scores) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (float range : {1e-36F, 1e-3F, 1.0F, 3e38F}) {
        Field field = smooth(5, {19, 21}, range / 4, 6);
        for (float& x : field.values) x = std::abs(x);
        Postprocessor runner(Activation::kNormalise, isa), as_they_are(Activation::kNone, isa);
        Maps maps(target, LabelType::kInt32, all_labels(5));
        Maps scores(target, LabelType::kInt32, {});
        CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
        CHECK(as_they_are.run(field.view(), scores.target(), ThreadExecutor(2)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) {
          CHECK(maps.label(i) == scores.label(i));
          float sum = 0;
          for (std::size_t c = 0; c < 5; ++c) {
            CHECK(maps.probability(c, i) >= 0 && maps.probability(c, i) <= 1);
            sum += maps.probability(c, i);
          }
          CHECK_MSG(std::abs(sum - 1) < 3e-6F, "%s: %g", etseg::isa_name(isa),
                    static_cast<double>(sum));
        }
      }
    }
  }
}

// Where no score is above 0 there is nothing to share: all are alike.
TEST(shares_of_nothing) {
  for (Isa isa : etseg::supported_isas()) {
    for (Size target : kTargets) {
      for (float score : {0.0F, 1e-40F, -1.0F}) {
        const Field field(3, {19, 21}, score);
        Postprocessor runner(Activation::kNormalise, isa);
        Maps maps(target, LabelType::kInt32, all_labels(3));
        CHECK(runner.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
        for (std::size_t i = 0; i < maps.pixels(); ++i) {
          CHECK(maps.label(i) == 0);
          for (std::size_t c = 0; c < 3; ++c) CHECK(maps.probability(c, i) == 1.0F / 3.0F);
        }
      }
    }
  }
}

TEST(errors_leave_the_maps_untouched) {
  const Field field(300, {4, 4});
  const auto refused = [&](Activation activation, std::int64_t channels, LabelType type,
                           std::vector<std::int64_t> labels, Size size, Code code) {
    etseg::Postprocessor postprocessor(activation, etseg::supported_isas().back());
    Maps maps({4, 4}, type, labels);
    const Maps before = maps;
    etseg::PostprocessTarget target = maps.target();
    target.height = size.height;
    target.width = size.width;
    const etseg::Status status =
        postprocessor.run({field.values.data(), channels, 4, 4}, target, etseg::SerialExecutor());
    CHECK_MSG(status.code() == code && !status.message().empty(), "code %d: %s",
              static_cast<int>(status.code()), status.message().c_str());
    CHECK(maps.same_bits(before));
  };
  const Code user = Code::kInvalidUserInput;
  refused(Activation::kSigmoid, 256, LabelType::kUint8, {}, {4, 4}, user);
  refused(Activation::kSigmoid, 2, LabelType::kInt32, {3}, {4, 4}, user);
  refused(Activation::kSoftmax, 257, LabelType::kUint8, {}, {4, 4}, user);
  refused(Activation::kSoftmax, 5, LabelType::kInt32, {0, 5}, {4, 4}, user);
  refused(Activation::kSoftmax, 5, LabelType::kInt32, {-1}, {4, 4}, user);
  refused(Activation::kSigmoid, 1, LabelType::kInt32, {2}, {4, 4}, user);
  refused(Activation::kSoftmax, 5, LabelType::kInt32, {0}, {0, 4}, user);
  refused(Activation::kSoftmax, 5, LabelType::kInt32, {0}, {4, -1}, user);
  refused(Activation::kSoftmax, 5, LabelType::kInt32, {0}, {4, std::int64_t{1} << 32}, user);
  refused(Activation::kSoftmax, 0, LabelType::kInt32, {}, {4, 4}, user);
}

TEST(what_is_moved_works_on) {
  etseg::Postprocessor first(Activation::kSoftmax, etseg::supported_isas().back());
  etseg::Postprocessor postprocessor(std::move(first));
  const Field field = smooth(21, {33, 33}, 8, 1);
  Maps maps({100, 90}, LabelType::kUint8, {0, 20});
  CHECK(postprocessor.run(field.view(), maps.target(), ThreadExecutor(2)).ok());
  compare(field, Activation::kSoftmax, maps, 3e-6, 1e-5);
}
