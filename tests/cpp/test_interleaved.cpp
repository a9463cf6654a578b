// Channels-last logits give, bit for bit, what the same logits give as planes.
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "postprocess_case.h"
#include "thread_executor.h"

using etseg::Activation;
using etseg::Isa;
using etseg::LabelType;
using etseg::Postprocessor;

namespace {

// The field's values channels-last, ending where readable memory ends.
class Interleaved {
 public:
  explicit Interleaved(const Field& field) : field_(field) {
    const std::size_t page = static_cast<std::size_t>(::getpagesize());
    const std::size_t bytes = field.values.size() * sizeof(float);
    size_ = (bytes + page - 1) / page * page + page;
    memory_ = static_cast<std::uint8_t*>(
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    values_ = reinterpret_cast<float*>(memory_ + size_ - page - bytes);
    const std::size_t channels = static_cast<std::size_t>(field.channels);
    const std::size_t pixels = field.values.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < pixels; ++i) {
        values_[i * channels + c] = field.values[c * pixels + i];
      }
    }
    ::mprotect(memory_, size_ - page, PROT_READ);
    ::mprotect(memory_ + size_ - page, page, PROT_NONE);
  }
  ~Interleaved() { ::munmap(memory_, size_); }
  Interleaved(const Interleaved&) = delete;
  Interleaved& operator=(const Interleaved&) = delete;

  etseg::LogitsView view() const {
    return {values_, field_.channels, field_.size.height, field_.size.width,
            etseg::LogitsLayout::kInterleaved};
  }

 private:
  const Field& field_;
  std::uint8_t* memory_;
  std::size_t size_;
  float* values_;
};

void check_equal(const Field& field, Activation activation, Size target,
                 const std::vector<std::int64_t>& labels, LabelType type = LabelType::kInt32) {
  const Interleaved interleaved(field);
  for (Isa isa : etseg::supported_isas()) {
    Postprocessor runner(activation, isa);
    Maps planar(target, type, labels);
    CHECK(runner.run(field.view(), planar.target(), etseg::SerialExecutor()).ok());
    for (int threads : {1, 2, 3}) {
      Maps maps(target, type, labels);
      CHECK(runner.run(interleaved.view(), maps.target(), ThreadExecutor(threads)).ok());
      CHECK_MSG(planar.same_bits(maps), "%s, %d threads, %d channels, %dx%d to %dx%d",
                etseg::isa_name(isa), threads, static_cast<int>(field.channels),
                static_cast<int>(field.size.height), static_cast<int>(field.size.width),
                static_cast<int>(target.height), static_cast<int>(target.width));
    }
  }
}

}  // namespace

TEST(every_number_of_channels_around_the_vector_sizes) {
  for (std::int64_t channels : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 21, 31, 32, 33, 150, 1000}) {
    for (Size size : {Size{1, 1}, Size{1, 3}, Size{5, 1}, Size{3, 5}, Size{7, 17}, Size{16, 16}}) {
      const Field field = noise(channels, size, 4.0F, static_cast<unsigned>(channels));
      const Activation activation = channels == 1 ? Activation::kSigmoid : Activation::kSoftmax;
      check_equal(field, activation, size, {0, channels - 1});
      check_equal(field, activation, {11, 19}, {channels / 2});
      check_equal(field, Activation::kSigmoid, size, {0, channels});
      check_equal(field, Activation::kSigmoid, {11, 19}, {channels});
      check_equal(field, Activation::kNormalise, size, {0, channels - 1});
      check_equal(field, Activation::kNormalise, {11, 19}, {channels / 2});
    }
  }
}

// Without a map no plane is made: labels come from other kernels. Few levels give many ties.
TEST(labels_alone) {
  for (std::int64_t channels : {1,  2,  3,  4,  5,  6,  7,  8,  9,  11, 12,  13,  15,  16,
                                17, 19, 20, 21, 23, 24, 25, 31, 32, 33, 150, 256, 257, 1000}) {
    for (Size size : {Size{1, 1}, Size{1, 15}, Size{3, 5}, Size{7, 17}, Size{16, 16}}) {
      Field field = noise(channels, size, 3.0F, static_cast<unsigned>(channels));
      const Activation activation = channels == 1 ? Activation::kSigmoid : Activation::kSoftmax;
      check_equal(field, activation, size, {});
      for (float& x : field.values) x = std::round(x);
      check_equal(field, activation, size, {},
                  channels <= 256 ? LabelType::kUint8 : LabelType::kInt32);
      for (float& x : field.values) x = -0.0F;
      check_equal(field, activation, size, {});
    }
  }
}

// A value that is not finite, in every class in turn, at pixels in and after the whole vectors.
TEST(labels_alone_non_finite) {
  const float values[] = {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()};
  for (std::int64_t channels : {2, 5, 8, 11, 16, 21, 27, 32}) {
    Field field = noise(channels, {3, 4 * channels + 7}, 3e38F, 3);
    for (std::int64_t c = 0; c < channels; ++c) {
      field.at(c, c % 3, 4 * c + 1) = values[c % 3];
      field.at(c, 2, 4 * channels + 6) = values[c % 3];
    }
    check_equal(field, Activation::kSoftmax, field.size, {});
  }
}

TEST(larger_than_a_tile) {
  const Field field = smooth(21, {97, 103}, 6.0F, 5);
  check_equal(field, Activation::kSoftmax, field.size, {0, 15, 20});
  check_equal(field, Activation::kNone, field.size, {3});
  check_equal(field, Activation::kNone, field.size, {});
  check_equal(field, Activation::kSoftmax, {301, 211}, {});
  check_equal(field, Activation::kSoftmax, {301, 211}, {0, 15, 20});
}

TEST(non_finite_and_huge) {
  Field field = smooth(21, {20, 30}, 6.0F, 9);
  field.at(3, 7, 9) = std::numeric_limits<float>::quiet_NaN();
  field.at(20, 19, 29) = std::numeric_limits<float>::infinity();
  field.at(11, 2, 2) = 3e38F;
  field.at(12, 2, 3) = -3e38F;
  check_equal(field, Activation::kSoftmax, field.size, {0, 3, 11});
  check_equal(field, Activation::kSoftmax, {61, 47}, {0, 3, 11});
}

TEST(layouts_and_sizes_take_turns_on_one_runner) {
  const Field large = noise(21, {40, 50}, 3.0F, 1), small = noise(5, {9, 11}, 3.0F, 2);
  const Interleaved large_last(large), small_last(small);
  Postprocessor runner(Activation::kSoftmax, etseg::supported_isas().back());
  for (int round = 0; round < 2; ++round) {
    for (const auto& [field, last] : {std::pair{&large, &large_last}, {&small, &small_last}}) {
      for (Size target : {field->size, Size{70, 33}}) {
        Maps planar(target, LabelType::kUint8, {1}), maps(target, LabelType::kUint8, {1});
        CHECK(runner.run(last->view(), maps.target(), ThreadExecutor(2)).ok());
        CHECK(runner.run(field->view(), planar.target(), ThreadExecutor(2)).ok());
        CHECK(planar.same_bits(maps));
      }
    }
  }
}
