// The slow twin of postprocessing: every class of every pixel interpolated in double, then the
// activation, then the labels. Written to be read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "etseg/image.h"
#include "etseg/postprocess.h"

struct SlowPixel {
  std::vector<double> probability;  // per label
  std::int64_t label = 0;
  double lead = 0;  // of the greatest value over the second, before the activation
  bool finite = true;
};

class SlowPostprocess {
 public:
  SlowPostprocess(const etseg::LogitsView& logits, etseg::Activation activation,
                  std::int64_t height, std::int64_t width)
      : logits_(logits), activation_(activation), height_(height), width_(width) {}

  SlowPixel at(std::int64_t y, std::int64_t x) const {
    const Tap ty = tap(y, logits_.height, height_);
    const Tap tx = tap(x, logits_.width, width_);
    SlowPixel pixel;
    std::vector<double> v;
    for (std::int64_t c = 0; c < logits_.channels; ++c) {
      double sum = 0;
      for (const auto& [row, row_weight] :
           {Weight{ty.low, 1 - ty.fraction}, {ty.high, ty.fraction}}) {
        for (const auto& [column, weight] :
             {Weight{tx.low, 1 - tx.fraction}, {tx.high, tx.fraction}}) {
          if (row_weight * weight == 0) continue;
          const double value = logits_.data[(c * logits_.height + row) * logits_.width + column];
          pixel.finite = pixel.finite && std::isfinite(value);
          sum += row_weight * weight * value;
        }
      }
      v.push_back(sum);
    }
    if (!pixel.finite) return pixel;

    if (v.size() == 1) {
      double p = v[0];
      if (activation_ == etseg::Activation::kSigmoid) p = 1 / (1 + std::exp(-p));
      if (activation_ == etseg::Activation::kSoftmax) p = 1;
      pixel.probability = {p, 1 - p};
      pixel.label = p < 0.5 ? 1 : 0;
      pixel.lead = std::abs(p - 0.5);
      return pixel;
    }
    for (std::size_t c = 1; c < v.size(); ++c) {
      if (v[c] > v[static_cast<std::size_t>(pixel.label)])
        pixel.label = static_cast<std::int64_t>(c);
    }
    const double greatest = v[static_cast<std::size_t>(pixel.label)];
    pixel.lead = INFINITY;
    double sum = 0;
    for (std::size_t c = 0; c < v.size(); ++c) {
      if (static_cast<std::int64_t>(c) != pixel.label) {
        pixel.lead = std::min(pixel.lead, greatest - v[c]);
      }
      sum += std::exp(v[c] - greatest);
    }
    for (double value : v) {
      pixel.probability.push_back(
          activation_ == etseg::Activation::kNone ? value : std::exp(value - greatest) / sum);
    }
    return pixel;
  }

 private:
  struct Weight {
    std::int64_t index;
    double weight;
  };
  struct Tap {
    std::int64_t low, high;
    double fraction;
  };
  // The source coordinate (i + 0.5) * in / out - 0.5, in integers of 1 / (2 * out).
  static Tap tap(std::int64_t i, std::int64_t in, std::int64_t out) {
    const std::int64_t position =
        std::clamp<std::int64_t>((2 * i + 1) * in - out, 0, (in - 1) * 2 * out);
    const std::int64_t low = position / (2 * out);
    return {low, std::min(low + 1, in - 1),
            static_cast<double>(position % (2 * out)) / static_cast<double>(2 * out)};
  }

  etseg::LogitsView logits_;
  etseg::Activation activation_;
  std::int64_t height_, width_;
};
