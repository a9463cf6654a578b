// Both resamplers against readable twins in double, on every instruction set, cut in every way.
#include "etseg/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "check.h"
#include "etseg/isa.h"
#include "guarded_image.h"
#include "preprocess/resampler.h"
#include "slow_preprocess.h"
#include "thread_executor.h"

// Every allocation of this program, counted; the one with number `failing` fails.
static int allocations = 0;
static int failing = -1;

static void* allocate(std::size_t size, std::size_t alignment) {
  if (allocations++ == failing) throw std::bad_alloc();
  void* memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using etseg::ImageView;
using etseg::Isa;
using etseg::Resample;

namespace {

etseg::Isa best_isa() { return etseg::supported_isas().back(); }

// ---- One comparison --------------------------------------------------------------------------

constexpr float kScale[3] = {1.0f / 255.0f, -2.0f / 255.0f, 0.5f / 255.0f};
constexpr float kBias[3] = {0.0f, 0.25f, -1.0f};
constexpr float kGuard = -12345.0f;
constexpr std::size_t kGuards = 16;

std::vector<float> run(etseg::Resampler& resampler, const ImageView& image, Size size,
                       const etseg::Executor& executor) {
  const auto count = static_cast<std::size_t>(3 * size.height * size.width);
  std::vector<float> out(count + 2 * kGuards, kGuard);
  etseg::ResampleTarget target = {size.height, size.width, {}, {}, out.data() + kGuards};
  std::copy_n(kScale, 3, target.scale);
  std::copy_n(kBias, 3, target.bias);
  resampler.run(image, target, executor);
  for (std::size_t i = 0; i < kGuards; ++i) {
    CHECK(out[i] == kGuard);
    CHECK(out[kGuards + count + i] == kGuard);
  }
  return {out.begin() + kGuards, out.end() - kGuards};
}

double largest_error = 0.0;

// Of the full scale of the image, before the normalisation.
void check_close(const std::vector<float>& out, const std::vector<double>& expected, Size size,
                 const ImageView& image, Isa isa, Resample resample) {
  const std::size_t plane = out.size() / 3;
  double worst = 0.0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t c = i / plane;
    const double got = (static_cast<double>(out[i]) - kBias[c]) / (255.0 * kScale[c]);
    const double error = std::abs(got - expected[i] / 255.0);
    if (!(error <= worst)) worst = error;
  }
  CHECK_MSG(worst <= 1e-5, "error %g: %s, %s, %lld x %lld (strides %lld, %lld) to %lld x %lld",
            worst, isa_name(isa), resample == Resample::kBilinear ? "bilinear" : "antialias",
            static_cast<long long>(image.height), static_cast<long long>(image.width),
            static_cast<long long>(image.row_stride), static_cast<long long>(image.pixel_stride),
            static_cast<long long>(size.height), static_cast<long long>(size.width));
  largest_error = std::max(largest_error, worst);
}

// All instruction sets and executors, the image at either end of its pages.
void check_all(Layout layout, Size source, Size size) {
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    for (bool at_end : {true, false}) {
      const GuardedImage image(strides(layout, source), at_end, 7);
      const std::vector<double> expected = twin(resample, image.view, size);
      for (Isa isa : etseg::supported_isas()) {
        const auto resampler = etseg::make_resampler(resample, isa);
        const std::vector<float> serial =
            run(*resampler, image.view, size, etseg::SerialExecutor());
        check_close(serial, expected, size, image.view, isa, resample);
        for (int threads : {1, 2, 3}) {
          CHECK(run(*resampler, image.view, size, ThreadExecutor(threads)) == serial);
        }
      }
    }
  }
}

// ---- Tests -----------------------------------------------------------------------------------

constexpr Size kSizes[] = {{1, 1},   {1, 7},   {7, 1},   {3, 5},   {2, 2},   {13, 17},
                           {31, 29}, {1, 200}, {200, 1}, {64, 48}, {97, 101}};

TEST(ragged_sizes) {
  for (Size source : kSizes) {
    for (Size target : kSizes) check_all(Layout::kRgb, source, target);
  }
}

TEST(layouts) {
  for (Layout layout : kLayouts) {
    check_all(layout, {37, 53}, {13, 17});
    check_all(layout, {37, 53}, {41, 19});
    check_all(layout, {37, 53}, {19, 67});
    check_all(layout, {1, 1}, {3, 2});
    check_all(layout, {2, 1}, {1, 1});
    check_all(layout, {5, 86}, {5, 86});
  }
}

TEST(strong_downscale) {
  check_all(Layout::kRgb, {611, 523}, {2, 3});
  check_all(Layout::kRgba, {300, 411}, {9, 7});
  check_all(Layout::kPlanar, {45, 700}, {40, 3});
  check_all(Layout::kEveryFifth, {301, 600}, {9, 7});
  check_all(Layout::kGrey, {44, 2000}, {2, 5});
}

TEST(wider_than_a_strip) {
  check_all(Layout::kRgb, {35, 4032}, {19, 257});
  check_all(Layout::kRgba, {35, 3001}, {20, 96});
  check_all(Layout::kFlipped, {20, 2999}, {3, 128});
  check_all(Layout::kPlanar, {20, 3333}, {3, 128});
  check_all(Layout::kEveryFifth, {20, 3333}, {3, 128});
}

TEST(long_sums_keep_their_bits) {
  check_all(Layout::kGrey, {1, 60000}, {1, 1});
  check_all(Layout::kGrey, {60000, 1}, {1, 1});
}

// Every channel and the alpha at 255 in as many rows as the exact sums may hold.
TEST(white_stays_white) {
  for (std::int64_t height : {22, 43, 44, 45, 66, 88, 460}) {
    const std::vector<std::uint8_t> white(static_cast<std::size_t>(height * 70 * 4), 255);
    ImageView image;
    image.data = white.data();
    image.height = height;
    image.width = 70;
    image.pixel_stride = 4;
    image.row_stride = 280;
    for (Isa isa : etseg::supported_isas()) {
      const auto resampler = etseg::make_resampler(Resample::kAntialias, isa);
      for (Size size : {Size{1, 1}, Size{2, 70}, Size{3, 9}}) {
        const std::vector<float> out = run(*resampler, image, size, ThreadExecutor(2));
        check_close(out, std::vector<double>(out.size(), 255.0), size, image, isa,
                    Resample::kAntialias);
      }
    }
  }
}

// Every other format has what planar floats have; bytes are rounded as the twin says.
template <typename T>
void check_format(etseg::InputFormat format, Resample resample, Layout layout, Size source,
                  Size size) {
  const GuardedImage image(strides(layout, source), true, 5);
  const std::vector<double> bytes = twin(resample, image.view, size);
  const auto pixels = static_cast<std::size_t>(size.height * size.width);
  for (Isa isa : etseg::supported_isas()) {
    etseg::PreprocessOptions options;
    options.resample = resample;
    if (!format.bytes) options.mean = {0.5f, 0.25f, 0.125f};
    etseg::Preprocessor planar(options, isa);
    std::vector<float> floats(3 * pixels);
    CHECK(planar.run(image.view, size.height, size.width, floats.data(), ThreadExecutor(2)).ok());
    options.format = format;
    etseg::Preprocessor preprocessor(options, isa);
    for (int threads : {1, 2, 3}) {
      constexpr T kMark = 77;
      std::vector<T> out(3 * pixels + 2 * kGuards, kMark);
      T* const first = out.data() + kGuards;
      CHECK(preprocessor.run(image.view, size.height, size.width, first, ThreadExecutor(threads))
                .ok());
      for (std::size_t i = 0; i < kGuards; ++i) {
        CHECK(out[i] == kMark && out[out.size() - 1 - i] == kMark);
      }
      for (std::size_t c = 0; c < 3; ++c) {
        for (std::size_t i = 0; i < pixels; ++i) {
          const T got = first[format.interleaved ? 3 * i + c : c * pixels + i];
          if (format.bytes) {
            const double up = bytes[c * pixels + i] + 0.5 + 0x1p-11;
            const double off = up - std::floor(up);  // nothing is said of what is too near
            CHECK(static_cast<double>(got) == std::floor(up) || off < 2e-4 || off > 1 - 2e-4);
          } else {
            CHECK(static_cast<float>(got) == floats[c * pixels + i]);
          }
        }
      }
    }
  }
}

TEST(formats) {
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    for (Layout layout : {Layout::kRgb, Layout::kGrey, Layout::kFlippedRgba, Layout::kPlanar}) {
      for (Size source : {Size{1, 1}, Size{37, 53}, Size{200, 150}}) {
        for (Size size : {Size{1, 1}, Size{13, 17}, Size{41, 19}, Size{3, 67}, Size{37, 53}}) {
          check_format<float>({false, true}, resample, layout, source, size);
          check_format<std::uint8_t>({true, false}, resample, layout, source, size);
          check_format<std::uint8_t>({true, true}, resample, layout, source, size);
        }
      }
    }
  }
}

// At half its size an image has halves, which go up on every instruction set; and at its own size
// it is itself.
TEST(bytes_are_exact_where_the_image_is) {
  std::vector<std::uint8_t> pixels(64 * 64 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i / 7);
  ImageView image;
  image.data = pixels.data();
  image.height = image.width = 64;
  image.row_stride = 3 * 64;
  const auto at = [&](std::size_t y, std::size_t x, std::size_t c) {
    return int{pixels[(y * 64 + x) * 3 + c]};
  };
  for (Isa isa : etseg::supported_isas()) {
    etseg::PreprocessOptions options;
    options.format = {true, true};
    etseg::Preprocessor preprocessor(options, isa);
    std::vector<std::uint8_t> out(pixels.size());
    for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
      options.resample = resample;
      etseg::Preprocessor same(options, isa);
      CHECK(same.run(image, 64, 64, out.data(), ThreadExecutor(2)).ok());
      CHECK(out == pixels);
    }
    CHECK(preprocessor.run(image, 32, 32, out.data(), ThreadExecutor(2)).ok());  // the mean of four
    for (std::size_t y = 0; y < 32; ++y) {
      for (std::size_t x = 0; x < 32; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          const int sum = at(2 * y, 2 * x, c) + at(2 * y, 2 * x + 1, c) + at(2 * y + 1, 2 * x, c) +
                          at(2 * y + 1, 2 * x + 1, c);
          CHECK(out[(y * 32 + x) * 3 + c] == (sum + 2) / 4);
        }
      }
    }
  }
}

TEST(equal_size_is_the_image) {
  const Size size = {33, 65};
  const GuardedImage image(strides(Layout::kBgr, size), true, 3);
  etseg::SerialExecutor serial;
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    etseg::PreprocessOptions options;
    options.resample = resample;
    options.std = {1.0f / 255.0f, 1.0f / 255.0f, 1.0f / 255.0f};
    etseg::Preprocessor preprocessor(options, best_isa());
    std::vector<float> out(static_cast<std::size_t>(3 * size.height * size.width));
    CHECK(preprocessor.run(image.view, size.height, size.width, out.data(), serial).ok());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t y = at / size.width % size.height, x = at % size.width;
      const std::size_t c = i / static_cast<std::size_t>(size.height * size.width);
      CHECK(std::abs(out[i] - pixel(image.view, y, x, c)) < 1e-4);
    }
  }
}

// One object, sizes and layouts that come and go: nothing of the last image may show.
TEST(changing_sizes) {
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    for (Isa isa : etseg::supported_isas()) {
      const auto kept = etseg::make_resampler(resample, isa);
      unsigned seed = 0;
      for (int round = 0; round < 2; ++round) {
        for (Layout layout : kLayouts) {
          for (Size source : {Size{90, 70}, Size{11, 300}, Size{90, 70}, Size{5, 4}}) {
            const GuardedImage image(strides(layout, source), true, ++seed);
            const Size size = {seed % 3 == 0 ? 8 : 33, 21};
            const auto fresh = etseg::make_resampler(resample, isa);
            CHECK(run(*kept, image.view, size, ThreadExecutor(1 + static_cast<int>(seed % 3))) ==
                  run(*fresh, image.view, size, etseg::SerialExecutor()));
          }
        }
      }
    }
  }
}

TEST(normalises) {
  const std::uint8_t red[3] = {255, 0, 51};
  ImageView image;
  image.data = red;
  image.height = image.width = 1;
  image.row_stride = 3;
  etseg::PreprocessOptions options;
  options.mean = {0.485f, 0.456f, 0.406f};
  options.std = {0.229f, 0.224f, 0.225f};
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    options.resample = resample;
    etseg::Preprocessor first(options, best_isa());
    etseg::Preprocessor preprocessor(std::move(first));
    std::vector<float> out(3 * 4 * 5);
    CHECK(preprocessor.run(image, 4, 5, out.data(), ThreadExecutor(2)).ok());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t c = i / 20;
      const double expected = (red[c] / 255.0 - static_cast<double>(options.mean[c])) /
                              static_cast<double>(options.std[c]);
      CHECK(std::abs(out[i] - expected) < 1e-6);
    }
  }
}

TEST(refuses_sizes) {
  const std::uint8_t byte[3] = {};
  ImageView image;
  image.data = byte;
  image.row_stride = 3;
  etseg::Preprocessor preprocessor(etseg::PreprocessOptions{}, best_isa());
  etseg::SerialExecutor serial;
  float out[3] = {kGuard, kGuard, kGuard};
  const auto code = [&](std::int64_t h, std::int64_t w, std::int64_t th, std::int64_t tw) {
    image.height = h;
    image.width = w;
    return preprocessor.run(image, th, tw, out, serial).code();
  };
  CHECK(code(0, 1, 1, 1) == etseg::Code::kInvalidUserInput);
  CHECK(code(1, -3, 1, 1) == etseg::Code::kInvalidUserInput);
  CHECK(code(1, 1, 0, 1) == etseg::Code::kInvalidUserInput);
  CHECK(code(1, 1, 1, 0) == etseg::Code::kInvalidUserInput);
  CHECK(code(std::numeric_limits<std::int64_t>::max(), 1, 1, 1) == etseg::Code::kInvalidUserInput);
  for (float value : out) CHECK(value == kGuard);
  CHECK(code(1, 1, 1, 1) == etseg::Code::kOk);
  for (float value : out) CHECK(value == 0.0f);
}

TEST(equal_sizes_allocate_nothing) {
  const Size size = {20, 33};
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    for (Layout layout : kLayouts) {
      const GuardedImage image(strides(layout, {60, 50}), true, 1);
      etseg::PreprocessOptions options;
      options.resample = resample;
      etseg::Preprocessor preprocessor(options, best_isa());
      std::vector<float> out(static_cast<std::size_t>(3 * size.height * size.width));
      etseg::SerialExecutor serial;
      CHECK(preprocessor.run(image.view, size.height, size.width, out.data(), serial).ok());
      const int before = allocations;
      CHECK(preprocessor.run(image.view, size.height, size.width, out.data(), serial).ok());
      CHECK(allocations == before);
      options.format = {true, true};
      etseg::Preprocessor bytes(options, best_isa());
      CHECK(bytes.run(image.view, size.height, size.width, out.data(), serial).ok());
      const int then = allocations;
      CHECK(bytes.run(image.view, size.height, size.width, out.data(), serial).ok());
      CHECK(allocations == then);
    }
  }
}

// Each allocation of a call fails in turn: an error, nothing written, and the next call is right.
TEST(survives_a_lack_of_memory) {
  const Size size = {20, 33};
  const GuardedImage small(strides(Layout::kRgb, {9, 50}), true, 1);
  const GuardedImage large(strides(Layout::kRgb, {60, 21}), true, 2);
  etseg::SerialExecutor serial;
  for (Resample resample : {Resample::kBilinear, Resample::kAntialias}) {
    etseg::PreprocessOptions options;
    options.resample = resample;
    const auto count = static_cast<std::size_t>(3 * size.height * size.width);
    std::vector<float> expected(count);
    CHECK(etseg::Preprocessor(options, best_isa())
              .run(large.view, size.height, size.width, expected.data(), serial)
              .ok());
    bool failed = true;
    int nth = 0;
    for (; failed; ++nth) {
      etseg::Preprocessor preprocessor(options, best_isa());
      std::vector<float> out(count);
      CHECK(preprocessor.run(small.view, 7, 5, out.data(), serial).ok());
      std::fill(out.begin(), out.end(), kGuard);
      failing = allocations + nth;
      etseg::Code code =
          preprocessor.run(large.view, size.height, size.width, out.data(), serial).code();
      failing = -1;
      failed = code != etseg::Code::kOk;
      if (failed) {
        CHECK(code == etseg::Code::kOutOfMemory);
        CHECK(out == std::vector<float>(count, kGuard));
        code = preprocessor.run(large.view, size.height, size.width, out.data(), serial).code();
        CHECK(code == etseg::Code::kOk);
      }
      CHECK(out == expected);
    }
    CHECK(nth > 1);
  }
}

TEST(reports_the_error) { std::printf("largest error: %.2g of full scale\n", largest_error); }

}  // namespace
