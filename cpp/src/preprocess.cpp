#include "etseg/preprocess.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <vector>

namespace etseg {
namespace {

// One axis of a separable filter: output i is the sum of weight[j] * source[first + j].
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weight;
};

std::vector<Taps> axis_taps(Resample resample, std::int64_t source, std::int64_t target) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double support = resample == Resample::kAntialias ? std::max(scale, 1.0) : 1.0;
  std::vector<Taps> axis(static_cast<std::size_t>(target));
  std::vector<double> weight;
  for (std::int64_t i = 0; i < target; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale;
    if (support == 1.0) {
      centre = std::clamp(centre, 0.5, static_cast<double>(source) - 0.5);
    }
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto end =
        std::min<std::int64_t>(source, static_cast<std::int64_t>(centre + support + 0.5));
    weight.clear();
    double sum = 0.0;
    for (std::int64_t j = begin; j < end; ++j) {
      const double distance = std::abs(static_cast<double>(j) + 0.5 - centre) / support;
      weight.push_back(std::max(0.0, 1.0 - distance));
      sum += weight.back();
    }
    Taps& taps = axis[static_cast<std::size_t>(i)];
    taps.first = begin;
    for (double w : weight) taps.weight.push_back(static_cast<float>(w / sum));
  }
  return axis;
}

}  // namespace

struct Preprocessor::Impl {
  PreprocessOptions options;
};

Preprocessor::Preprocessor(const PreprocessOptions& options)
    : impl_(std::make_unique<Impl>(Impl{options})) {}
Preprocessor::~Preprocessor() = default;
Preprocessor::Preprocessor(Preprocessor&&) noexcept = default;
Preprocessor& Preprocessor::operator=(Preprocessor&&) noexcept = default;

Status Preprocessor::run(const ImageView& image, std::int64_t height, std::int64_t width,
                         float* out, const Executor& executor) {
  if (image.height < 1 || image.width < 1 || height < 1 || width < 1) {
    return Status(Code::kInvalidUserInput,
                  "cannot resize an image of " + std::to_string(image.height) + " x " +
                      std::to_string(image.width) + " to " + std::to_string(height) + " x " +
                      std::to_string(width) + " (height x width): every size must be at least 1.");
  }
  try {
    const std::vector<Taps> rows = axis_taps(impl_->options.resample, image.height, height);
    const std::vector<Taps> columns = axis_taps(impl_->options.resample, image.width, width);
    executor.run(0, height, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t y = begin; y < end; ++y) {
        const Taps& row = rows[static_cast<std::size_t>(y)];
        for (std::int64_t x = 0; x < width; ++x) {
          const Taps& column = columns[static_cast<std::size_t>(x)];
          for (std::size_t c = 0; c < 3; ++c) {
            float sum = 0.0f;
            for (std::size_t j = 0; j < row.weight.size(); ++j) {
              const std::uint8_t* from =
                  image.data + (row.first + static_cast<std::int64_t>(j)) * image.row_stride +
                  column.first * image.pixel_stride + image.channel_offset[c];
              float line = 0.0f;
              for (std::size_t i = 0; i < column.weight.size(); ++i) {
                line += column.weight[i] *
                        static_cast<float>(from[static_cast<std::ptrdiff_t>(i) * image.pixel_stride]);
              }
              sum += row.weight[j] * line;
            }
            out[(static_cast<std::int64_t>(c) * height + y) * width + x] =
                (sum / 255.0f - impl_->options.mean[c]) / impl_->options.std[c];
          }
        }
      }
    });
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, "not enough memory for the filter tables of the resize.");
  }
  return Status();
}

}  // namespace etseg
