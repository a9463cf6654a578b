// The arithmetic of postprocessing, behind one table of functions per instruction set. Plain
// structs only: this header is compiled into every instruction set's namespace.
#pragma once

#include <cstdint>

#include "etseg/activation.h"
#include "kernels/common/isa.h"

namespace etseg {

// Class-major planes: value of class c at pixel i is data[c * plane_size + i].
struct ClassPlanes {
  const float* data;
  std::int64_t channels;
  std::int64_t plane_size;
};

// From channels-last: the value of class c at pixel i is data[i * channels + c], and goes to
// planes[c * plane_size + i - first].
struct DeinterleaveArgs {
  const float* data;
  std::int64_t channels;
  std::int64_t pixels;
  float* planes;
  std::int64_t plane_size;
  std::int64_t first;
};

struct PlaneOut {
  std::int64_t label;
  float* data;
};

struct MapsOut {
  void* labels;  // int32_t or uint8_t
  bool labels_are_uint8;
  const PlaneOut* planes;
  std::int64_t plane_count;
};

// Model size: labels and probabilities of the pixels themselves.
struct ActivateArgs {
  ClassPlanes logits;
  std::int64_t first;  // the pixel that the planes start at; the maps start at 0
  Activation activation;
  MapsOut out;
};

// Model size, channels-last, two classes or more: labels alone. Values and planes as above.
struct InterleavedArgs {
  const float* data;
  std::int64_t channels;
  std::int64_t pixels;
  MapsOut out;
};

// What classify() writes for a source pixel without a label.
inline constexpr std::int32_t kNonFinite = -1;  // a NaN or an infinity in some class
inline constexpr std::int32_t kUndecided = -2;  // one channel: too near to a tie to bound a cell

// What classify() met, as bits.
inline constexpr std::uint32_t kSawNonFinite = 1;
inline constexpr std::uint32_t kSawHuge = 2;    // finite, but differences could overflow
inline constexpr float kHuge = 8.50705917e37F;  // 2^126

struct ClassifyArgs {
  ClassPlanes logits;
  Activation activation;
  std::int32_t* labels;  // [plane_size]: the lowest index among the greatest, or one of the above
  // Bit c % 32 of active[(c / 32) * plane_size + i]: class c is less than `margin` below the
  // greatest at pixel i. May be null.
  std::uint32_t* active;
  float* tops;  // [plane_size]: the greatest values, if there is `active`
  float margin;
  float* means;  // [plane_size]: the mean over the classes; may be null
};

inline constexpr std::int64_t kMaxBandRows = 16;
inline constexpr std::int64_t kMaxLanes = 16;

// Where cache lines begin in our maps (MapPool::kOffset) and in numpy's large arrays. How a row is
// cut into blocks may show in a map's last bit, and so must not follow from where its memory
// happens to lie.
inline constexpr std::int64_t kColumnsBeforeCacheLine = 12;

// Target rows that lie between the same two source rows, evenly spaced.
struct UpsampleBand {
  std::int64_t y;      // first target row
  std::int64_t rows;   // 1 .. kMaxBandRows
  std::int64_t upper;  // source rows; equal where the lower one has no weight
  std::int64_t lower;
};

struct UpsampleArgs {
  ClassPlanes logits;  // every finite value within +-kHuge
  std::int64_t width;  // of the source
  Activation activation;
  const std::int32_t* labels;   // by classify()
  const std::uint32_t* active;  // by classify(), or null
  const float* tops;            // likewise
  const float* means;           // by classify(), for Activation::kNormalise
  bool has_nonfinite;
  std::int64_t target_width;
  // Per target column, and kMaxLanes more that repeat the last: the source columns (equal where
  // the right one has no weight) and the weight of the right one.
  const std::int32_t* left;
  const std::int32_t* right;
  const float* x_fraction;
  const float* y_fraction;  // per target row: the weight of the lower source row
  MapsOut out;
  // The maps are larger than the caches, and are better written past them. Where vectors are as
  // long as a cache line and rows are whole ones, blocks of columns then begin at
  // kColumnsBeforeCacheLine.
  bool past_caches;
  // Cache lines do begin there, in every row of every plane: they may be streamed.
  bool cache_lines_known;
};

// What cell_polynomials.h keeps of every cell of a band.
inline constexpr std::int64_t kValuesPerCell = 50;

// Of one thread.
struct UpsampleScratch {
  float* class_vectors;       // 2 * kMaxLanes * channels
  std::int32_t* classes;      // channels
  std::int32_t* run_ends;     // source width
  std::int32_t* cell_smooth;  // source width
  float* cells;               // kValuesPerCell rows, cell_stride apart, each of the source width
  std::int64_t cell_stride;
};

// A label of a cell is steady if it is nowhere in it more than this below the greatest class.
inline constexpr float kMaxLabelGap = 8.0F;

struct PostprocessKernels {
  void (*deinterleave)(const DeinterleaveArgs&, std::int64_t begin, std::int64_t end);  // pixels
  void (*activate)(const ActivateArgs&, std::int64_t begin, std::int64_t end);          // pixels
  void (*label_interleaved)(const InterleavedArgs&, std::int64_t begin, std::int64_t end);
  std::uint32_t (*classify)(const ClassifyArgs&, std::int64_t begin, std::int64_t end);
  void (*upsample)(const UpsampleArgs&, const UpsampleBand&, const UpsampleScratch&);
  void (*exp)(const float* x, float* y, std::int64_t n);  // for the tests
};

namespace ETSEG_ISA_NAMESPACE {

void deinterleave(const DeinterleaveArgs&, std::int64_t begin, std::int64_t end);
void activate(const ActivateArgs&, std::int64_t begin, std::int64_t end);
void label_interleaved(const InterleavedArgs&, std::int64_t begin, std::int64_t end);
std::uint32_t classify(const ClassifyArgs&, std::int64_t begin, std::int64_t end);
void upsample(const UpsampleArgs&, const UpsampleBand&, const UpsampleScratch&);
void exp_of_array(const float* x, float* y, std::int64_t n);

// Parts of upsample().
void upsample_labels(const UpsampleArgs&, const UpsampleBand&, const UpsampleScratch&);
// After upsample_labels() of the same band: it reads the runs that were found.
void upsample_maps(const UpsampleArgs&, const UpsampleBand&, const UpsampleScratch&);

}  // namespace ETSEG_ISA_NAMESPACE
}  // namespace etseg
