// Cutting out against a readable twin in double, on every instruction set, cut in every way.
#include "etseg/cutout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.h"
#include "etseg/isa.h"
#include "slow_cutout.h"
#include "thread_executor.h"

using etseg::CutoutTarget;
using etseg::ImageView;
using etseg::Isa;

namespace {

using Bytes = std::vector<std::uint8_t>;

struct Case {
  std::int64_t height, width;
  Bytes pixels, opacity;

  ImageView image() const { return {pixels.data(), height, width, 3 * width, 3, {0, 1, 2}}; }
};

// A field of colours, and a disc whose edge is as wide as half of it; with noise in both.
Case make_case(std::int64_t height, std::int64_t width, unsigned seed) {
  Case made{height, width, {}, {}};
  std::mt19937 random(seed);
  const double radius = 0.3 * static_cast<double>(std::min(height, width));
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const double distance =
          std::hypot(static_cast<double>(y - height / 2), static_cast<double>(x - width / 2));
      const double inside = 255 * std::clamp(1.5 - distance / (radius + 1), 0.0, 1.0);
      made.opacity.push_back(static_cast<std::uint8_t>(
          inside > 0 && inside < 255 && random() % 8 == 0 ? static_cast<double>(random() % 256)
                                                          : inside));
      for (int c = 0; c < 3; ++c) {
        made.pixels.push_back(static_cast<std::uint8_t>(
            static_cast<unsigned>((y * (c + 1) + x * 2) % 200) + random() % 50));
      }
    }
  }
  return made;
}

Bytes cut(const Case& given, bool estimate, Isa isa, int channels,
          const etseg::Executor& executor) {
  Bytes out(given.opacity.size() * static_cast<std::size_t>(channels), 77);
  const etseg::Status status = etseg::cut_out(given.image(), given.opacity.data(), estimate, isa,
                                              {out.data(), channels}, executor);
  CHECK(status.ok());
  return out;
}

// Of pixels that are a mixture the twin's colours, of all others the image's.
void check_against_twin(const Case& given, const Bytes& out, const Bytes& twin, const char* what) {
  int worst = 0, wrong = 0;
  for (std::size_t i = 0; i < given.opacity.size(); ++i) {
    const bool mixed = given.opacity[i] != 0 && given.opacity[i] != 255;
    for (std::size_t c = 0; c < 3; ++c) {
      if (mixed) {
        worst = std::max(worst, std::abs(out[4 * i + c] - twin[3 * i + c]));
      } else {
        wrong += out[4 * i + c] != given.pixels[3 * i + c];
      }
    }
    wrong += out[4 * i + 3] != given.opacity[i];
  }
  // Each level rounds to bytes, where single and double precision may part.
  CHECK_MSG(worst <= 1, "%s %lldx%lld: off by %d", what, static_cast<long long>(given.width),
            static_cast<long long>(given.height), worst);
  CHECK(wrong == 0);
}

}  // namespace

TEST(colours_are_the_twins) {
  const std::int64_t sizes[][2] = {{1, 1},   {1, 2},   {2, 1},   {1, 97},   {61, 1},   {29, 30},
                                   {30, 30}, {31, 61}, {90, 91}, {64, 200}, {257, 131}};
  unsigned seed = 1;
  for (const auto& [height, width] : sizes) {
    const Case given = make_case(height, width, seed++);
    const Bytes twin = slow::foreground(given.image(), given.opacity.data());
    for (const Isa isa : etseg::supported_isas()) {
      const Bytes alone = cut(given, true, isa, 4, etseg::SerialExecutor());
      check_against_twin(given, alone, twin, etseg::isa_name(isa));
      for (const int threads : {2, 5}) {
        CHECK(cut(given, true, isa, 4, ThreadExecutor(threads)) == alone);
      }
    }
  }
}

TEST(all_of_a_picture_may_be_a_mixture) {
  Case given = make_case(70, 85, 3);
  for (std::size_t i = 0; i < given.opacity.size(); ++i) {
    given.opacity[i] = static_cast<std::uint8_t>(1 + i * 7 % 254);
  }
  const Bytes twin = slow::foreground(given.image(), given.opacity.data());
  for (const Isa isa : etseg::supported_isas()) {
    const Bytes out = cut(given, true, isa, 4, ThreadExecutor(2));
    check_against_twin(given, out, twin, etseg::isa_name(isa));
  }
}

TEST(three_channels_are_the_first_of_four) {
  const Case given = make_case(50, 70, 4);
  for (const bool estimate : {false, true}) {
    const Bytes four = cut(given, estimate, Isa::kBaseline, 4, etseg::SerialExecutor());
    Bytes three;
    for (std::size_t i = 0; i < four.size(); ++i) {
      if (i % 4 != 3) three.push_back(four[i]);
    }
    CHECK(cut(given, estimate, Isa::kBaseline, 3, ThreadExecutor(3)) == three);
    if (!estimate) CHECK(three == given.pixels);
  }
}

TEST(hard_masks_leave_the_image_as_it_is) {
  Case given = make_case(65, 33, 5);
  for (std::uint8_t& each : given.opacity) each = each < 128 ? 0 : 255;
  CHECK(cut(given, true, Isa::kBaseline, 3, ThreadExecutor(2)) == given.pixels);
}

TEST(images_are_read_where_they_lie) {
  const Case given = make_case(40, 52, 6);
  // Upside down, blue first, with a fourth channel.
  Bytes other(4 * given.opacity.size());
  for (std::int64_t y = 0; y < 40; ++y) {
    for (std::int64_t x = 0; x < 52; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) {
        other[static_cast<std::size_t>(((39 - y) * 52 + x) * 4 + 2 - c)] =
            given.pixels[static_cast<std::size_t>((y * 52 + x) * 3 + c)];
      }
    }
  }
  const ImageView view = {other.data() + 39 * 52 * 4, 40, 52, -52 * 4, 4, {2, 1, 0}};
  Bytes out(4 * given.opacity.size());
  CHECK(etseg::cut_out(view, given.opacity.data(), true, Isa::kBaseline, {out.data(), 4},
                       etseg::SerialExecutor())
            .ok());
  CHECK(out == cut(given, true, Isa::kBaseline, 4, etseg::SerialExecutor()));
}

// Every opacity, and every sum of two products that comes of it.
TEST(blending_rounds) {
  const std::uint8_t backdrop[3] = {0, 90, 255};
  Bytes opacity, before;
  for (int a = 0; a < 256; ++a) {
    for (int value = 0; value < 256; ++value) {
      opacity.push_back(static_cast<std::uint8_t>(a));
      for (int c = 0; c < 3; ++c) before.push_back(static_cast<std::uint8_t>(value));
    }
  }
  for (const int threads : {1, 2, 7}) {
    Bytes picture = before;
    etseg::blend(picture.data(), opacity.data(), {backdrop, 256, 256, 0, 0, {0, 1, 2}},
                 ThreadExecutor(threads));
    int wrong = 0;
    for (std::size_t i = 0; i < picture.size(); ++i) {
      const double a = opacity[i / 3];
      wrong += picture[i] != std::floor((a * before[i] + (255 - a) * backdrop[i % 3]) / 255 + 0.5);
    }
    CHECK(wrong == 0);
  }
}
