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
                  std::int64_t height, std::int64_t width, const etseg::LogitsGrid& grid = {})
      : logits_(logits), activation_(activation), height_(height), width_(width) {
    const bool corners = grid.kind == etseg::LogitsGridKind::kAlignCorners;
    head_height_ = corners ? grid.head_height : 0;
    head_width_ = corners ? grid.head_width : 0;
  }

  SlowPixel at(std::int64_t y, std::int64_t x) const {
    const Tap ty = tap(y, logits_.height, height_, head_height_);
    const Tap tx = tap(x, logits_.width, width_, head_width_);
    SlowPixel pixel;
    std::vector<double> v;
    v.reserve(static_cast<std::size_t>(logits_.channels) + 1);
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
    pixel.probability.reserve(v.size() + 1);

    if (v.size() == 1) {
      double p = v[0];
      if (activation_ == etseg::Activation::kSigmoid) p = 1 / (1 + std::exp(-p));
      if (activation_ == etseg::Activation::kSoftmax) p = 1;
      if (activation_ == etseg::Activation::kNormalise) p = 1;
      pixel.probability = {p, 1 - p};
      pixel.label = p < 0.5 ? 1 : 0;
      pixel.lead = std::abs(p - 0.5);
      return pixel;
    }
    // Each by itself: "none of them" stands for the logits below 0, whose probabilities are below
    // one half.
    const bool each_by_itself = activation_ == etseg::Activation::kSigmoid;
    if (each_by_itself) v.push_back(0);
    for (std::size_t c = 1; c < v.size(); ++c) {
      if (v[c] > v[static_cast<std::size_t>(pixel.label)])
        pixel.label = static_cast<std::int64_t>(c);
    }
    const double greatest = v[static_cast<std::size_t>(pixel.label)];
    pixel.lead = INFINITY;
    double sum = 0, total = 0;
    for (std::size_t c = 0; c < v.size(); ++c) {
      if (static_cast<std::int64_t>(c) != pixel.label) {
        pixel.lead = std::min(pixel.lead, greatest - v[c]);
      }
      sum += std::exp(v[c] - greatest);
      total += v[c];
    }
    if (each_by_itself) {
      v.pop_back();
      for (double value : v) pixel.probability.push_back(1 / (1 + std::exp(-value)));
      pixel.probability.push_back(
          1 - *std::max_element(pixel.probability.begin(), pixel.probability.end()));
      return pixel;
    }
    if (activation_ == etseg::Activation::kNormalise) {
      const auto count = static_cast<double>(v.size());
      const bool alike = total / count < std::ldexp(1.0, -126);
      for (double value : v) pixel.probability.push_back(alike ? 1 / count : value / total);
      return pixel;
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
  // The coordinate (i + 0.5) * in / out - 0.5, in integers of 1 / (2 * out), clamped.
  static std::int64_t half_pixel(std::int64_t i, std::int64_t in, std::int64_t out) {
    return std::clamp<std::int64_t>((2 * i + 1) * in - out, 0, (in - 1) * 2 * out);
  }
  // With aligned corners that is the coordinate among the `head` values, whose first and last lie
  // on the first and the last logit.
  static Tap tap(std::int64_t i, std::int64_t in, std::int64_t out, std::int64_t head) {
    std::int64_t position, unit;
    if (head == 0) {
      position = half_pixel(i, in, out);
      unit = 2 * out;
    } else {
      position = half_pixel(i, head, out) * (in - 1);
      unit = 2 * out * std::max<std::int64_t>(head - 1, 1);
    }
    const std::int64_t low = position / unit;
    return {low, std::min(low + 1, in - 1),
            static_cast<double>(position % unit) / static_cast<double>(unit)};
  }

  etseg::LogitsView logits_;
  etseg::Activation activation_;
  std::int64_t height_, width_;
  std::int64_t head_height_, head_width_;  // 0: half-pixel centres
};
