// Label maps of programs against a slow twin: every type, ragged sizes, threads; and what is
// refused.
#include "etseg/label_map.h"

#include <limits>

#include "postprocess_case.h"
#include "thread_executor.h"

using etseg::Code;
using etseg::LabelMapper;
using etseg::LabelMapView;
using etseg::LabelType;

namespace {

constexpr std::int64_t kLabels = 200;

// A program's map, that owns its memory.
template <typename T>
struct Returned {
  Size size;
  std::vector<T> values;

  explicit Returned(Size s, unsigned seed = 1)
      : size(s), values(static_cast<std::size_t>(s.height * s.width)) {
    std::mt19937 random(seed);
    for (T& value : values) value = static_cast<T>(random() % kLabels);
  }
  LabelMapView view() const {
    const auto type = sizeof(T) == 1   ? LabelMapView::Type::kUint8
                      : sizeof(T) == 4 ? LabelMapView::Type::kInt32
                                       : LabelMapView::Type::kInt64;
    return {values.data(), type, size.height, size.width};
  }
};

// The pixel of the source in which the centre of pixel i of the target lies, found by looking.
std::int64_t slow_nearest(std::int64_t i, std::int64_t source, std::int64_t target) {
  std::int64_t found = 0;
  while ((found + 1) * 2 * target <= (2 * i + 1) * source) ++found;
  return found;
}

template <typename T>
void check_sizes() {
  LabelMapper mapper;  // one for all: nothing of the last map may show
  for (Size source : {Size{1, 1}, Size{1, 7}, Size{9, 1}, Size{17, 23}, Size{40, 64}}) {
    const Returned<T> map(source, static_cast<unsigned>(source.width));
    for (Size target : {Size{1, 1}, Size{5, 3}, Size{17, 23}, Size{34, 69}, Size{131, 77}}) {
      for (LabelType type : {LabelType::kInt32, LabelType::kUint8}) {
        Maps serial(target, type, {});
        CHECK(mapper.run(map.view(), kLabels, serial.target(), etseg::SerialExecutor()).ok());
        for (std::int64_t y = 0; y < target.height; ++y) {
          for (std::int64_t x = 0; x < target.width; ++x) {
            const std::int64_t row = slow_nearest(y, source.height, target.height);
            const std::int64_t column = slow_nearest(x, source.width, target.width);
            CHECK(serial.label(static_cast<std::size_t>(y * target.width + x)) ==
                  static_cast<std::int64_t>(
                      map.values[static_cast<std::size_t>(row * source.width + column)]));
          }
        }
        for (int threads : {1, 2, 3}) {
          Maps parallel(target, type, {});
          CHECK(mapper.run(map.view(), kLabels, parallel.target(), ThreadExecutor(threads)).ok());
          CHECK(serial.same_bits(parallel));
        }
      }
    }
  }
}

template <typename T>
void check_out_of_range(T value, const char* said) {
  Returned<T> map({7, 5});
  map.values[13] = value;
  Maps maps({14, 10}, LabelType::kInt32, {});
  const Maps before = maps;
  const etseg::Status status =
      LabelMapper().run(map.view(), kLabels, maps.target(), etseg::SerialExecutor());
  CHECK(status.code() == Code::kInvalidModelOutput);
  CHECK_MSG(status.message().find(said) != std::string::npos, "%s", status.message().c_str());
  CHECK(status.message().find("row 2, column 3") != std::string::npos);
  CHECK(maps.same_bits(before));
}

}  // namespace

TEST(every_type_and_size) {
  check_sizes<std::uint8_t>();
  check_sizes<std::int32_t>();
  check_sizes<std::int64_t>();
}

TEST(a_label_that_there_is_not) {
  check_out_of_range<std::uint8_t>(200, "label 200");
  check_out_of_range<std::int32_t>(-1, "label -1");
  check_out_of_range<std::int32_t>(std::numeric_limits<std::int32_t>::max(), "label 2147483647");
  check_out_of_range<std::int64_t>(200, "label 200");
  // Of which the lower half would be a label.
  check_out_of_range<std::int64_t>((std::int64_t{1} << 32) + 1, "label 4294967297");
}

TEST(the_last_label_is_one) {
  Returned<std::int64_t> map({3, 3});
  map.values[8] = kLabels - 1;
  Maps maps({3, 3}, LabelType::kUint8, {});
  CHECK(LabelMapper().run(map.view(), kLabels, maps.target(), etseg::SerialExecutor()).ok());
  CHECK(maps.label(8) == kLabels - 1);
}

TEST(what_cannot_be_asked_for) {
  const Returned<std::uint8_t> map({4, 4});
  const auto code = [&](std::int64_t labels, LabelType type, std::vector<std::int64_t> planes,
                        Size size) {
    Maps maps({4, 4}, type, planes);
    const Maps before = maps;
    etseg::PostprocessTarget target = maps.target();
    target.height = size.height;
    target.width = size.width;
    const etseg::Status status =
        LabelMapper().run(map.view(), labels, target, etseg::SerialExecutor());
    CHECK(maps.same_bits(before));
    return status.code();
  };
  CHECK(code(kLabels, LabelType::kInt32, {0}, {4, 4}) == Code::kInvalidUserInput);
  CHECK(code(257, LabelType::kUint8, {}, {4, 4}) == Code::kInvalidUserInput);
  CHECK(code(kLabels, LabelType::kInt32, {}, {0, 4}) == Code::kInvalidUserInput);
  CHECK(code(kLabels, LabelType::kInt32, {}, {4, -1}) == Code::kInvalidUserInput);
  CHECK(code(kLabels, LabelType::kInt32, {}, {4, std::int64_t{1} << 31}) ==
        Code::kInvalidUserInput);
}
