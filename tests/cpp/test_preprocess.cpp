// Both resamplers against readable twins in double, on every instruction set, cut in every way.
#include "etseg/preprocess.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "kernels/isa.h"
#include "resizer.h"
#include "thread_executor.h"

using etseg::ImageView;
using etseg::Isa;
using etseg::Resample;

namespace {

struct Size {
  std::int64_t height, width;
};

// ---- The twins -------------------------------------------------------------------------------

double pixel(const ImageView& image, std::int64_t y, std::int64_t x, std::size_t c) {
  return image.data[y * image.row_stride + x * image.pixel_stride + image.channel_offset[c]];
}

struct Tap {
  std::int64_t index;
  double weight;
};

// The taps of output i of an axis, straight from the definitions in preprocess.h.
std::vector<Tap> taps(Resample resample, std::int64_t source, std::int64_t target,
                      std::int64_t i) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double centre = (static_cast<double>(i) + 0.5) * scale - 0.5;
  if (resample == Resample::kBilinear) {
    const double at = std::clamp(centre, 0.0, static_cast<double>(source - 1));
    const auto first = static_cast<std::int64_t>(std::floor(at));
    const double weight = at - static_cast<double>(first);
    return {{first, 1.0 - weight}, {std::min(first + 1, source - 1), weight}};
  }
  const double support = std::max(scale, 1.0);
  std::vector<Tap> result;
  double sum = 0.0;
  const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support) - 1);
  const auto end = std::min<std::int64_t>(source, static_cast<std::int64_t>(centre + support) + 2);
  for (std::int64_t j = begin; j < end; ++j) {
    const double weight = 1.0 - std::abs(static_cast<double>(j) - centre) / support;
    if (weight <= 0.0) continue;
    result.push_back({j, weight});
    sum += weight;
  }
  for (Tap& tap : result) tap.weight /= sum;
  return result;
}

// Bytes, not yet normalised: 0..255.
std::vector<double> twin(Resample resample, const ImageView& image, Size target) {
  std::vector<std::vector<Tap>> columns;
  for (std::int64_t x = 0; x < target.width; ++x) {
    columns.push_back(taps(resample, image.width, target.width, x));
  }
  std::vector<double> out(static_cast<std::size_t>(3 * target.height * target.width));
  for (std::int64_t y = 0; y < target.height; ++y) {
    const std::vector<Tap> rows = taps(resample, image.height, target.height, y);
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::int64_t x = 0; x < target.width; ++x) {
        double sum = 0.0;
        for (const Tap& row : rows) {
          for (const Tap& column : columns[static_cast<std::size_t>(x)]) {
            sum += row.weight * column.weight * pixel(image, row.index, column.index, c);
          }
        }
        const std::int64_t at = (static_cast<std::int64_t>(c) * target.height + y) * target.width;
        out[static_cast<std::size_t>(at + x)] = sum;
      }
    }
  }
  return out;
}

// ---- Images ----------------------------------------------------------------------------------

enum class Layout {
  kRgb,
  kBgr,
  kRgba,
  kGrey,
  kGreyOfRgb,   // one channel of an interleaved image
  kPaddedRows,
  kUpsideDown,  // negative row stride
  kFlipped,     // negative pixel stride
  kFlippedRgba,
  kEverySecond,  // image[:, ::2]
  kEveryFifth,   // too far apart to be read as runs of bytes
  kPlanar,       // a CHW array seen as HWC
  kOnePixel,     // pixel stride 0: numpy.broadcast_to
  kOneRow,       // row stride 0
};
constexpr Layout kLayouts[] = {
    Layout::kRgb,        Layout::kBgr,     Layout::kRgba,      Layout::kGrey,
    Layout::kGreyOfRgb,  Layout::kPaddedRows, Layout::kUpsideDown, Layout::kFlipped,
    Layout::kFlippedRgba, Layout::kEverySecond, Layout::kEveryFifth, Layout::kPlanar,
    Layout::kOnePixel,   Layout::kOneRow,
};

// A view whose data is null: the strides alone.
ImageView strides(Layout layout, Size size) {
  ImageView view;
  view.height = size.height;
  view.width = size.width;
  const auto width = static_cast<std::ptrdiff_t>(size.width);
  const auto place = [&](std::ptrdiff_t pixel_stride, std::ptrdiff_t row_stride) {
    view.pixel_stride = pixel_stride;
    view.row_stride = row_stride;
  };
  place(3, 3 * width);
  switch (layout) {
    case Layout::kRgb:
      break;
    case Layout::kBgr:
      view.channel_offset = {2, 1, 0};
      break;
    case Layout::kRgba:
      place(4, 4 * width);
      break;
    case Layout::kGrey:
      place(1, width);
      view.channel_offset = {0, 0, 0};
      break;
    case Layout::kGreyOfRgb:
      view.channel_offset = {1, 1, 1};
      break;
    case Layout::kPaddedRows:
      place(3, 3 * width + 5);
      break;
    case Layout::kUpsideDown:
      place(3, -3 * width);
      break;
    case Layout::kFlipped:
      place(-3, 3 * width);
      break;
    case Layout::kFlippedRgba:
      place(-4, -4 * width - 8);
      view.channel_offset = {3, 2, 1};
      break;
    case Layout::kEverySecond:
      place(6, 6 * width);
      break;
    case Layout::kEveryFifth:
      place(-15, 15 * width);
      break;
    case Layout::kPlanar:
      place(1, width);
      view.channel_offset = {0, width * size.height, 2 * width * size.height};
      break;
    case Layout::kOnePixel:
      place(0, 3);
      break;
    case Layout::kOneRow:
      place(3, 0);
      break;
  }
  return view;
}

// The lowest and one past the highest byte of a view, relative to `data`.
struct Extent {
  std::ptrdiff_t low, high;
};
Extent extent(const ImageView& view) {
  const auto [low, high] = std::minmax_element(view.channel_offset.begin(),
                                               view.channel_offset.end());
  const std::ptrdiff_t rows = (view.height - 1) * view.row_stride;
  const std::ptrdiff_t columns = (view.width - 1) * view.pixel_stride;
  return {*low + std::min<std::ptrdiff_t>(rows, 0) + std::min<std::ptrdiff_t>(columns, 0),
          *high + std::max<std::ptrdiff_t>(rows, 0) + std::max<std::ptrdiff_t>(columns, 0) + 1};
}

// Memory of exactly the extent of a view, between two pages that may not be touched: at the end of
// the accessible pages, or at their beginning.
class GuardedImage {
 public:
  GuardedImage(const ImageView& like, bool at_end, unsigned seed) : view(like) {
    const Extent bytes = extent(like);
    const auto size = static_cast<std::size_t>(bytes.high - bytes.low);
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inside = (size + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    base_ = static_cast<std::uint8_t*>(
        mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED);
    CHECK(mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) == 0);
    std::uint8_t* first = base_ + page + (at_end ? inside - size : 0);
    std::minstd_rand random(seed);
    // Extremes among the noise, so that sums come near to their bounds.
    for (std::size_t i = 0; i < size; ++i) {
      first[i] = static_cast<std::uint8_t>(i / 512 % 2 == 0 ? random() >> 7 : 255);
    }
    view.data = first - bytes.low;
  }
  ~GuardedImage() { munmap(base_, mapped_); }
  GuardedImage(const GuardedImage&) = delete;
  GuardedImage& operator=(const GuardedImage&) = delete;

  ImageView view;

 private:
  std::uint8_t* base_ = nullptr;
  std::size_t mapped_ = 0;
};

// ---- One comparison --------------------------------------------------------------------------

constexpr float kScale[3] = {1.0f / 255.0f, -2.0f / 255.0f, 0.5f / 255.0f};
constexpr float kBias[3] = {0.0f, 0.25f, -1.0f};
constexpr float kGuard = -12345.0f;
constexpr std::size_t kGuards = 16;

std::vector<float> run(etseg::Resizer& resizer, const ImageView& image, Size size,
                       const etseg::Executor& executor) {
  const auto count = static_cast<std::size_t>(3 * size.height * size.width);
  std::vector<float> out(count + 2 * kGuards, kGuard);
  etseg::Target target = {size.height, size.width, {}, {}, out.data() + kGuards};
  std::copy_n(kScale, 3, target.scale);
  std::copy_n(kBias, 3, target.bias);
  resizer.run(image, target, executor);
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
        const auto resizer = etseg::make_resizer(resample, isa);
        const std::vector<float> serial = run(*resizer, image.view, size, etseg::SerialExecutor());
        check_close(serial, expected, size, image.view, isa, resample);
        for (int threads : {1, 2, 3}) {
          CHECK(run(*resizer, image.view, size, ThreadExecutor(threads)) == serial);
        }
      }
    }
  }
}

// ---- Tests -----------------------------------------------------------------------------------

constexpr Size kSizes[] = {{1, 1}, {1, 7},  {7, 1},   {3, 5},    {2, 2},     {13, 17},
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
      const auto resizer = etseg::make_resizer(Resample::kAntialias, isa);
      for (Size size : {Size{1, 1}, Size{2, 70}, Size{3, 9}}) {
        const std::vector<float> out = run(*resizer, image, size, ThreadExecutor(2));
        check_close(out, std::vector<double>(out.size(), 255.0), size, image, isa,
                    Resample::kAntialias);
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
    etseg::Preprocessor preprocessor(options);
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
      const auto kept = etseg::make_resizer(resample, isa);
      unsigned seed = 0;
      for (int round = 0; round < 2; ++round) {
        for (Layout layout : kLayouts) {
          for (Size source : {Size{90, 70}, Size{11, 300}, Size{90, 70}, Size{5, 4}}) {
            const GuardedImage image(strides(layout, source), true, ++seed);
            const Size size = {seed % 3 == 0 ? 8 : 33, 21};
            const auto fresh = etseg::make_resizer(resample, isa);
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
    etseg::Preprocessor first(options);
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
  etseg::Preprocessor preprocessor(etseg::PreprocessOptions{});
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

TEST(reports_the_error) { std::printf("largest error: %.2g of full scale\n", largest_error); }

}  // namespace
