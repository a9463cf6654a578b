// Pixels, boxes and runs of labels against a slow twin: both types, masks and noise, rows that end
// anywhere in a block, images of any size; and values that are no labels.
#include "etseg/summary.h"

#include <algorithm>
#include <limits>
#include <random>

#include "check.h"
#include "slow_summary.h"

using etseg::ImageSize;
using etseg::LabelExtent;
using etseg::LabelMapView;
using etseg::StrayLabels;

namespace {

// A map that owns its memory, to the byte: a sanitizer sees what is read beyond.
template <typename T>
struct Map {
  std::int64_t height, width;
  std::vector<T> values;

  Map(std::int64_t h, std::int64_t w)
      : height(h), width(w), values(static_cast<std::size_t>(h * w)) {}
  LabelMapView view() const {
    const auto type = sizeof(T) == 1 ? LabelMapView::Type::kUint8 : LabelMapView::Type::kInt32;
    return {values.data(), type, height, width};
  }
  T& at(std::int64_t y, std::int64_t x) { return values[static_cast<std::size_t>(y * width + x)]; }
};

enum class Content { kNoise, kDust, kBlocks, kOne };

template <typename T>
Map<T> make_map(std::int64_t height, std::int64_t width, std::int64_t labels, Content content) {
  Map<T> map(height, width);
  std::mt19937 random(static_cast<unsigned>(height * 1000 + width));
  const auto any = [&] { return static_cast<T>(random() % static_cast<std::uint64_t>(labels)); };
  std::vector<T> of_block(static_cast<std::size_t>((height / 5 + 1) * (width / 40 + 1)));
  std::generate(of_block.begin(), of_block.end(), any);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      T& value = map.at(y, x);
      switch (content) {
        case Content::kNoise:
          value = any();
          break;
        case Content::kDust:
          value = random() % 50 == 0 ? any() : T{0};
          break;
        case Content::kBlocks:
          value = of_block[static_cast<std::size_t>(y / 5 * (width / 40 + 1) + x / 40)];
          break;
        case Content::kOne:
          value = static_cast<T>(labels - 1);
          break;
      }
    }
  }
  return map;
}

std::vector<LabelExtent> measured(const LabelMapView& map, ImageSize image, std::int64_t labels) {
  std::vector<LabelExtent> extents(static_cast<std::size_t>(labels), {7, 7, 7, 7, 7});
  StrayLabels stray{1, 2};
  CHECK(etseg::measure_labels(map, image, extents, stray).ok());
  CHECK(stray.lowest > stray.highest);
  return extents;
}

std::vector<std::string> encoded(const LabelMapView& map, ImageSize image,
                                 const std::vector<std::int64_t>& labels) {
  std::vector<std::string> counts = {"what was there"};
  CHECK(etseg::encode_runs(map, image, labels, counts).ok());
  CHECK(counts.size() == labels.size());
  return counts;
}

bool same(const LabelExtent& a, const LabelExtent& b) {
  return a.pixels == b.pixels && a.left == b.left && a.top == b.top && a.right == b.right &&
         a.bottom == b.bottom;
}

template <typename T>
void check_against_twin(const Map<T>& map, ImageSize image, std::int64_t labels) {
  const std::vector<std::int64_t> pixels = slow::at_size(map.values, map.height, map.width, image);
  const std::vector<LabelExtent> extents = measured(map.view(), image, labels);
  std::vector<std::int64_t> some;  // in an order that is not theirs, and not all of them
  for (std::int64_t label = labels - 1; label >= 0; label -= labels / 4 + 1) some.push_back(label);
  const std::vector<std::string> counts = encoded(map.view(), image, some);
  int wrong = 0;
  for (std::int64_t label = 0; label < labels; ++label) {
    wrong += !same(extents[static_cast<std::size_t>(label)], slow::extent(pixels, image, label));
  }
  for (std::size_t i = 0; i < some.size(); ++i) {
    wrong += counts[i] != slow::runs(pixels, image, some[i]);
  }
  CHECK_MSG(wrong == 0, "%d labels of %lldx%lld in %lldx%lld", wrong,
            static_cast<long long>(map.width), static_cast<long long>(map.height),
            static_cast<long long>(image.width), static_cast<long long>(image.height));
}

template <typename T>
void check_sizes() {
  const std::int64_t widths[] = {1, 2, 8, 15, 16, 17, 18, 63, 64, 65, 66, 127, 128, 129, 193, 260};
  for (const Content content : {Content::kNoise, Content::kDust, Content::kBlocks, Content::kOne}) {
    for (const std::int64_t width : widths) {
      for (const std::int64_t height : {1, 2, 13}) {
        for (const std::int64_t labels : {1, 2, 21}) {
          check_against_twin(make_map<T>(height, width, labels, content), {height, width}, labels);
        }
      }
    }
  }
}

template <typename T>
void check_images() {
  for (const ImageSize map : {ImageSize{1, 1}, {1, 40}, {40, 1}, {17, 29}, {24, 70}}) {
    for (const ImageSize image :
         {ImageSize{1, 1}, {5, 3}, {17, 30}, {16, 29}, {51, 140}, {3, 90}}) {
      for (const Content content : {Content::kNoise, Content::kBlocks}) {
        check_against_twin(make_map<T>(map.height, map.width, 7, content), image, 7);
      }
    }
  }
}

template <typename T>
void check_strays(std::vector<T> values, std::int64_t lowest, std::int64_t highest) {
  Map<T> map(30, 70);
  for (std::size_t i = 0; i < values.size(); ++i) {
    map.at(29, static_cast<std::int64_t>(69 - 3 * i)) = values[i];
  }
  // Also where the image has fewer pixels, and takes none of these.
  for (const ImageSize image : {ImageSize{30, 70}, {3, 5}, {60, 200}}) {
    std::vector<LabelExtent> extents(3);
    StrayLabels stray;
    CHECK(etseg::measure_labels(map.view(), image, extents, stray).ok());
    CHECK_MSG(stray.lowest == lowest && stray.highest == highest, "%lld to %lld",
              static_cast<long long>(stray.lowest), static_cast<long long>(stray.highest));
    // They are outside of every mask.
    const std::vector<std::int64_t> pixels = slow::at_size(map.values, 30, 70, image);
    CHECK(encoded(map.view(), image, {0})[0] == slow::runs(pixels, image, 0));
    CHECK(encoded(map.view(), image, {2})[0] == slow::runs(pixels, image, 2));
  }
}

}  // namespace

TEST(bytes_of_any_width) { check_sizes<std::uint8_t>(); }
TEST(integers_of_any_width) { check_sizes<std::int32_t>(); }
TEST(bytes_of_another_size_than_the_image) { check_images<std::uint8_t>(); }
TEST(integers_of_another_size_than_the_image) { check_images<std::int32_t>(); }

TEST(labels_at_the_limits) {
  check_against_twin(make_map<std::uint8_t>(40, 90, 256, Content::kNoise), {40, 90}, 256);
  check_against_twin(make_map<std::int32_t>(40, 90, 300, Content::kNoise), {40, 90}, 300);
  check_against_twin(make_map<std::int32_t>(9, 90, 70000, Content::kOne), {9, 90}, 70000);
}

TEST(what_is_no_label_is_told) {
  check_strays<std::uint8_t>({255}, 255, 255);
  check_strays<std::uint8_t>({3, 255, 7}, 3, 255);
  check_strays<std::int32_t>({-1}, -1, -1);
  check_strays<std::int32_t>({256, 3}, 3, 256);
  constexpr auto kLimits = std::numeric_limits<std::int32_t>();
  check_strays<std::int32_t>({kLimits.min(), kLimits.max(), -1}, kLimits.min(), kLimits.max());
}

// Each bit of a lane alone: a difference is found by its highest.
TEST(every_bit_of_a_difference_counts) {
  for (int bit = 0; bit < 32; ++bit) {
    for (std::int64_t at = 0; at < 20; ++at) {
      Map<std::int32_t> map(1, 20);
      map.at(0, at) = static_cast<std::int32_t>(std::uint32_t{1} << bit);
      const ImageSize image = {1, 20};
      CHECK(encoded(map.view(), image, {0})[0] ==
            slow::runs(slow::at_size(map.values, 1, 20, image), image, 0));
    }
  }
  for (int value = 1; value < 256; ++value) {
    Map<std::uint8_t> map(2, 80);
    map.at(1, value % 80) = static_cast<std::uint8_t>(value);
    check_against_twin(map, {2, 80}, 256);
  }
}

TEST(a_photographs_numbers) {
  Map<std::uint8_t> map(1500, 1000);
  map.at(1, 1) = map.at(1499, 999) = 1;
  for (std::int64_t y = 0; y < 1500; ++y) std::fill_n(&map.at(y, 500), 200, std::uint8_t{1});
  check_against_twin(map, {1500, 1000}, 2);
  CHECK(encoded(map.view(), {1500, 1000}, {}).empty());
}
