// The two resamplers behind preprocess.h. Internal: here, unlike there, the instruction set is an
// argument, so that tests can run all of them.
#pragma once

#include <cstdint>
#include <memory>

#include "etseg/image.h"
#include "etseg/isa.h"
#include "etseg/parallel.h"
#include "etseg/preprocess.h"

namespace etseg {

struct ResampleTarget {
  std::int64_t height;
  std::int64_t width;
  float scale[3];  // out = byte * scale + bias
  float bias[3];
  void* out;
  InputFormat format = {};

  // What kernels write themselves; anything else goes through input_rows.h.
  bool is_planar_floats() const { return !format.bytes && !format.interleaved; }
};

// What the tables of the filters depend on.
struct ResampleSizes {
  ResampleSizes() = default;
  ResampleSizes(const ImageView& image, const ResampleTarget& target)
      : source_height(image.height),
        source_width(image.width),
        height(target.height),
        width(target.width) {}
  bool operator==(const ResampleSizes&) const = default;

  std::int64_t source_height = 0;
  std::int64_t source_width = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

class Resampler {
 public:
  virtual ~Resampler() = default;

  // ResampleSizes are checked by the caller. Throws std::bad_alloc, before anything is written to
  // the target. Allocates only what the last call did not leave behind.
  virtual void run(const ImageView& image, const ResampleTarget& target,
                   const Executor& executor) = 0;
};

std::unique_ptr<Resampler> make_antialias_resampler(Isa isa);
std::unique_ptr<Resampler> make_bilinear_resampler(Isa isa);
inline std::unique_ptr<Resampler> make_resampler(Resample resample, Isa isa) {
  return resample == Resample::kAntialias ? make_antialias_resampler(isa)
                                          : make_bilinear_resampler(isa);
}

// Cuts the rows of the target into `tasks` parts of almost equal length: part i begins here.
inline std::int64_t part_begin(std::int64_t rows, std::int64_t tasks, std::int64_t i) {
  return rows * i / tasks;
}

}  // namespace etseg
