// Runs postprocessing on one instruction set with guarded memory, and compares it with the twin.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <random>
#include <vector>

#include "check.h"
#include "etseg/isa.h"
#include "etseg/postprocess.h"
#include "slow_postprocess.h"

struct Size {
  std::int64_t height, width;
};

// Logits that own their memory.
struct Field {
  std::int64_t channels;
  Size size;
  std::vector<float> values;

  Field(std::int64_t c, Size s, float value = 0)
      : channels(c), size(s), values(static_cast<std::size_t>(c * s.height * s.width), value) {}
  float& at(std::int64_t c, std::int64_t y, std::int64_t x) {
    return values[static_cast<std::size_t>((c * size.height + y) * size.width + x)];
  }
  etseg::LogitsView view() const { return {values.data(), channels, size.height, size.width}; }
};

inline Field noise(std::int64_t channels, Size size, float range, unsigned seed) {
  Field field(channels, size);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  for (float& x : field.values) x = range * uniform(random);
  return field;
}

// Slow waves, as a segmentation has: few of its cells lie on a boundary.
inline Field smooth(std::int64_t channels, Size size, float range, unsigned seed) {
  Field field(channels, size);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0.0F, 6.28F);
  for (std::int64_t c = 0; c < channels; ++c) {
    const float a = uniform(random), b = uniform(random), level = uniform(random) - 3;
    const float fy = uniform(random) / 60, fx = uniform(random) / 60;
    for (std::int64_t y = 0; y < size.height; ++y) {
      for (std::int64_t x = 0; x < size.width; ++x) {
        field.at(c, y, x) = range * (0.3F * level + std::sin(a + fy * static_cast<float>(y)) *
                                                        std::cos(b + fx * static_cast<float>(x)));
      }
    }
  }
  return field;
}

template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  CacheLineAllocator() = default;
  template <typename U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }
  bool operator==(const CacheLineAllocator&) const = default;
};
template <typename T>
using CacheLineVector = std::vector<T, CacheLineAllocator<T>>;

// The maps of one run, between guards. They begin `shift` elements behind the start of a cache
// line: 4 as numpy's large arrays do.
struct Maps {
  static constexpr std::size_t kGuard = 64;
  Size size;
  etseg::LabelType type;
  std::size_t label_begin, plane_begin;
  CacheLineVector<std::uint8_t> label_bytes;
  std::vector<CacheLineVector<float>> plane_values;
  std::vector<etseg::ProbabilityPlane> planes;

  Maps(Size s, etseg::LabelType t, const std::vector<std::int64_t>& labels, std::size_t shift = 4)
      : size(s),
        type(t),
        label_begin(kGuard + shift * element()),
        plane_begin(kGuard + shift),
        label_bytes(label_begin + pixels() * element() + kGuard, 0xA5) {
    plane_values.resize(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      plane_values[i].assign(plane_begin + pixels() + kGuard, -77.0F);
      planes.push_back({labels[i], plane_values[i].data() + plane_begin});
    }
  }
  std::size_t element() const { return type == etseg::LabelType::kInt32 ? 4 : 1; }
  std::size_t pixels() const { return static_cast<std::size_t>(size.height * size.width); }
  etseg::PostprocessTarget target() {
    return {size.height, size.width, label_bytes.data() + label_begin, type, planes};
  }
  std::int64_t label(std::size_t i) const {
    if (type == etseg::LabelType::kUint8) return label_bytes[label_begin + i];
    std::int32_t value;
    std::memcpy(&value, label_bytes.data() + label_begin + 4 * i, 4);
    return value;
  }
  float probability(std::size_t plane, std::size_t i) const {
    return plane_values[plane][plane_begin + i];
  }
  bool guards_intact() const {
    bool intact = true;
    for (std::size_t i = 0; i < label_begin; ++i) intact = intact && label_bytes[i] == 0xA5;
    for (const auto& values : plane_values) {
      for (std::size_t i = 0; i < plane_begin; ++i) intact = intact && values[i] == -77.0F;
      for (std::size_t i = 1; i <= kGuard; ++i) {
        intact = intact && values[values.size() - i] == -77.0F;
      }
    }
    for (std::size_t i = 1; i <= kGuard; ++i) {
      intact = intact && label_bytes[label_bytes.size() - i] == 0xA5;
    }
    return intact;
  }
  bool same_bits(const Maps& other) const {
    bool same =
        pixels() == other.pixels() && type == other.type && planes.size() == other.planes.size() &&
        std::memcmp(label_bytes.data() + label_begin, other.label_bytes.data() + other.label_begin,
                    pixels() * element()) == 0;
    for (std::size_t p = 0; same && p < planes.size(); ++p) {
      same = std::memcmp(planes[p].data, other.planes[p].data, pixels() * sizeof(float)) == 0;
    }
    return same && guards_intact() && other.guards_intact();
  }
};

struct Errors {
  double greatest = 0;  // of any probability
  std::int64_t wrong_labels = 0;
};

// Of one pixel.
inline void add_errors(Errors& errors, const SlowPixel& slow, const Maps& maps, std::size_t i,
                       double tie) {
  if (maps.label(i) != slow.label && (slow.lead > tie || !slow.finite)) ++errors.wrong_labels;
  for (std::size_t p = 0; p < maps.planes.size(); ++p) {
    const float fast = maps.probability(p, i);
    if (!slow.finite) {
      if (!std::isnan(fast)) errors.greatest = INFINITY;
      continue;
    }
    const double error =
        std::abs(fast - slow.probability[static_cast<std::size_t>(maps.planes[p].label)]);
    if (!(error <= errors.greatest)) errors.greatest = std::isnan(error) ? INFINITY : error;
  }
}

// Probabilities within `tolerance`; labels equal wherever the twin's lead exceeds `tie`, and at
// ties the label of a probability that is as good as the greatest. Of several maps of one field, as
// the twin takes far longer than they do: all of one size.
inline void compare(const Field& field, etseg::Activation activation,
                    std::initializer_list<const Maps*> all, double tolerance, double tie,
                    const etseg::LogitsGrid& grid = {}) {
  const Size size = (*all.begin())->size;
  std::vector<Errors> errors(all.size());
  const SlowPostprocess twin(field.view(), activation, size.height, size.width, grid);
  for (std::int64_t y = 0; y < size.height; ++y) {
    for (std::int64_t x = 0; x < size.width; ++x) {
      const SlowPixel slow = twin.at(y, x);
      const auto i = static_cast<std::size_t>(y * size.width + x);
      for (std::size_t m = 0; m < all.size(); ++m) {
        add_errors(errors[m], slow, *all.begin()[m], i, tie);
      }
    }
  }
  for (std::size_t m = 0; m < all.size(); ++m) {
    const Maps& maps = *all.begin()[m];
    CHECK_MSG(errors[m].wrong_labels == 0 && errors[m].greatest <= tolerance,
              "%lld classes %lldx%lld -> %lldx%lld activation %d planes %zu: %lld wrong labels, "
              "probability off by %.3g",
              static_cast<long long>(field.channels), static_cast<long long>(field.size.height),
              static_cast<long long>(field.size.width), static_cast<long long>(size.height),
              static_cast<long long>(size.width), static_cast<int>(activation), maps.planes.size(),
              static_cast<long long>(errors[m].wrong_labels), errors[m].greatest);
    CHECK(maps.guards_intact());
  }
}

inline void compare(const Field& field, etseg::Activation activation, const Maps& maps,
                    double tolerance, double tie, const etseg::LogitsGrid& grid = {}) {
  compare(field, activation, {&maps}, tolerance, tie, grid);
}

inline std::vector<std::int64_t> all_labels(
    std::int64_t channels, etseg::Activation activation = etseg::Activation::kSoftmax) {
  std::vector<std::int64_t> labels;
  for (std::int64_t c = 0; c < etseg::label_count(channels, activation); ++c) labels.push_back(c);
  return labels;
}
