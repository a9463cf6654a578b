// The triangle filter: rows of the target in blocks of as many as a vector has lanes, each block in
// strips of columns whose float rows stay in the cache.
#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "byte_rows.h"
#include "filter.h"
#include "kernels/antialias_kernels.h"
#include "resizer.h"

namespace etseg {

namespace baseline {
extern const AntialiasKernels kAntialiasKernels;
}
#if defined(ETSEG_HAVE_X86_KERNELS)
namespace avx2 {
extern const AntialiasKernels kAntialiasKernels;
}
namespace avx512 {
extern const AntialiasKernels kAntialiasKernels;
}
#endif

const AntialiasKernels& antialias_kernels(Isa isa) {
#if defined(ETSEG_HAVE_X86_KERNELS)
  if (isa == Isa::kAvx512) return avx512::kAntialiasKernels;
  if (isa == Isa::kAvx2) return avx2::kAntialiasKernels;
#endif
  (void)isa;
  return baseline::kAntialiasKernels;
}

namespace {

constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

// Zeroed, aligned to cache lines; keeps what it has when less is asked for.
class Scratch {
 public:
  ~Scratch() { std::free(data_); }
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::byte* reserve(std::size_t size) {
    if (size > size_) {
      std::free(data_);
      size_ = 0;
      size = (size + 63) / 64 * 64;
      data_ = static_cast<std::byte*>(std::aligned_alloc(64, size));
      if (data_ == nullptr) throw std::bad_alloc();
      std::fill_n(data_, size, std::byte{0});
      size_ = size;
    }
    return data_;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class AntialiasResizer final : public Resizer {
 public:
  explicit AntialiasResizer(Isa isa) : kernels_(antialias_kernels(isa)), lanes_(kernels_.lanes) {}

  void run(const ImageView& image, const Target& target, const Executor& executor) override {
    const std::int64_t tasks = std::min<std::int64_t>(executor.concurrency(), target.height);
    assign_axes(image, target);
    const Plan plan(*this, image, target);
    std::byte* scratch = scratch_.reserve(static_cast<std::size_t>(tasks * plan.scratch_bytes));
    executor.run(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
      const Task task(plan, scratch + begin * plan.scratch_bytes);
      task.run(part_begin(target.height, tasks, begin), part_begin(target.height, tasks, end));
    });
  }

 private:
  struct Sizes {
    std::int64_t source_height, source_width, height, width;
    bool operator==(const Sizes&) const = default;
  };

  // What all tasks of one call share.
  struct Plan {
    Plan(const AntialiasResizer& resizer, const ImageView& from, const Target& to)
        : self(resizer), image(from), target(to), rows(from) {
      const std::int64_t lanes = self.lanes_;
      const std::int64_t tile = tile_columns(self.lanes_);
      const std::int64_t columns = round_up(image.width, tile);
      constexpr std::int64_t kStripBytes = 256 * 1024;
      const std::int64_t column_floats = rows.runs * rows.step;
      strip_columns = columns;
      if (self.shrink_columns_) {
        const std::int64_t fit =
            kStripBytes / (static_cast<std::int64_t>(sizeof(float)) * lanes * column_floats);
        strip_columns = std::min(columns, std::max(tile, fit / tile * tile));
      }
      run_pitch = strip_columns * rows.step;
      row_pitch = rows.runs * run_pitch;
      const std::int64_t strips = (columns + strip_columns - 1) / strip_columns;
      // In floats, in the order in which Task lays them out.
      block_floats = lanes * row_pitch;
      carry_floats = strips * row_pitch;
      tile_floats = lanes * column_floats * (self.shrink_columns_ ? tile : columns);
      sums_floats = (round_up(target.width, lanes) + 1) * 3 * lanes;
      const std::int64_t floats = block_floats + carry_floats + tile_floats + sums_floats;
      const std::int64_t packed = rows.packed ? kMaxSegmentRows * run_pitch : 0;
      scratch_bytes = round_up(floats * static_cast<std::int64_t>(sizeof(float)) + packed, 128);
    }

    const AntialiasResizer& self;
    const ImageView& image;
    const Target& target;
    ByteRows rows;
    std::int64_t strip_columns;
    std::int64_t run_pitch;
    std::int64_t row_pitch;
    std::int64_t block_floats, carry_floats, tile_floats, sums_floats;
    std::int64_t scratch_bytes;
  };

  // Some rows of the target, on one thread.
  class Task {
   public:
    Task(const Plan& plan, std::byte* scratch)
        : plan_(plan),
          self_(plan.self),
          block_(reinterpret_cast<float*>(scratch)),
          carry_(block_ + plan.block_floats),
          tile_(carry_ + plan.carry_floats),
          sums_(tile_ + plan.tile_floats),
          packed_(reinterpret_cast<std::uint8_t*>(sums_ + plan.sums_floats)) {}

    void run(std::int64_t begin, std::int64_t end) const {
      if (self_.shrink_rows_) {
        for (std::int64_t x = 0; x < plan_.image.width; x += plan_.strip_columns) {
          add_segment(begin, x, block_, block_, carry_at(x));
        }
      }
      for (std::int64_t y = begin; y < end; y += self_.lanes_) {
        run_block(y, std::min<std::int64_t>(self_.lanes_, end - y));
      }
    }

   private:
    float* carry_at(std::int64_t x) const {
      return carry_ + x / plan_.strip_columns * plan_.row_pitch;
    }

    void run_block(std::int64_t y, std::int64_t rows) const {
      ShrinkState state = {};
      for (std::int64_t x = 0; x < plan_.image.width; x += plan_.strip_columns) {
        for (std::int64_t r = 0; r < rows; ++r) {
          float* row = block_ + r * plan_.row_pitch;
          if (self_.shrink_rows_) {
            // The segment after output row y + r: its end. What it gives to the row after the
            // block waits in the carry.
            add_segment(y + r + 1, x, r == 0 ? carry_at(x) : row, row,
                        r + 1 < rows ? row + plan_.row_pitch : carry_at(x));
          } else {
            blend_rows(y + r, x, row);
          }
        }
        shrink_or_stretch(x, &state);
      }
      write(y, rows);
    }

    void add_segment(std::int64_t segment, std::int64_t x, const float* current_in,
                     float* current_out, float* next) const {
      const auto k = static_cast<std::size_t>(segment);
      const TriangleAxis& axis = self_.row_triangles_;
      const std::int64_t begin = axis.begin[k], count = axis.begin[k + 1] - begin;
      const std::int64_t parts = std::max<std::int64_t>(
          1, (count + kMaxSegmentRows - 1) / kMaxSegmentRows);
      const std::int64_t columns = std::min(plan_.strip_columns, plan_.image.width - x);
      for (std::int64_t part = 0; part < parts; ++part) {
        const std::int64_t from = begin + count * part / parts;
        const int size = static_cast<int>(begin + count * (part + 1) / parts - from);
        SegmentRows rows = {};
        rows.count = size;
        rows.bytes = readable_bytes(x, columns);
        rows.t_first =
            static_cast<float>(axis.t_first[k] + axis.slope * static_cast<double>(from - begin));
        rows.slope = static_cast<float>(axis.slope);
        rows.add_to_next = part > 0;
        for (int run = 0; run < plan_.rows.runs; ++run) {
          rows.source = source(from, size, x, columns, run, &rows.row_stride);
          const std::int64_t at = run * plan_.run_pitch;
          rows.current_in = (part == 0 ? current_in : current_out) + at;
          rows.current_out = current_out + at;
          rows.next = next + at;
          self_.kernels_.add_segment(rows);
        }
      }
    }

    void blend_rows(std::int64_t y, std::int64_t x, float* row) const {
      const auto at = static_cast<std::size_t>(y);
      const std::int64_t columns = std::min(plan_.strip_columns, plan_.image.width - x);
      const std::int64_t first = self_.row_taps_.first[at];
      const int distance = static_cast<int>(self_.row_taps_.second[at] - first);
      for (int run = 0; run < plan_.rows.runs; ++run) {
        std::ptrdiff_t row_stride = 0;
        const std::uint8_t* above = source(first, distance + 1, x, columns, run, &row_stride);
        self_.kernels_.blend_rows(above, above + distance * row_stride, self_.row_taps_.weight[at],
                                  readable_bytes(x, columns), row + run * plan_.run_pitch);
      }
    }

    // Only after the last column of the image there may be nothing.
    std::int64_t readable_bytes(std::int64_t x, std::int64_t columns) const {
      return x + columns < plan_.image.width ? columns * plan_.rows.step
                                             : plan_.rows.bytes(columns);
    }

    // Where the bytes of `count` rows of this strip lie.
    const std::uint8_t* source(std::int64_t y, int count, std::int64_t x, std::int64_t columns,
                               int run, std::ptrdiff_t* row_stride) const {
      const ImageView& image = plan_.image;
      if (!plan_.rows.packed) {
        *row_stride = image.row_stride;
        return image.data + y * image.row_stride + plan_.rows.offset[run] + x * plan_.rows.step;
      }
      *row_stride = plan_.run_pitch;
      for (int j = 0; j < count; ++j) {
        pack_columns(image, y + j, x, columns, plan_.rows.channels, packed_ + j * *row_stride);
      }
      return packed_;
    }

    void shrink_or_stretch(std::int64_t x, ShrinkState* state) const {
      BlockColumns block = {};
      block.rows = block_;
      block.row_pitch = plan_.row_pitch;
      block.runs = plan_.rows.runs;
      block.run_pitch = plan_.run_pitch;
      block.channels = plan_.rows.channels;
      block.step = plan_.rows.step;
      std::copy_n(plan_.rows.channel_offset, 3, block.channel_offset);
      block.x_begin = x;
      block.x_end = std::min(x + plan_.strip_columns, plan_.image.width);
      block.tile = tile_;
      if (self_.shrink_columns_) {
        self_.kernels_.shrink_columns(block, self_.column_triangles_.begin.data() + 1,
                                      self_.column_triangles_.t.data(), state, sums());
      } else {
        self_.kernels_.stretch_columns(block, self_.column_taps_.first.data(),
                                       self_.column_taps_.second.data(),
                                       self_.column_taps_.weight.data(), plan_.target.width,
                                       sums());
      }
    }

    // After the one that stands before output 0.
    float* sums() const { return sums_ + 3 * self_.lanes_; }

    void write(std::int64_t y, std::int64_t rows) const {
      const Target& target = plan_.target;
      BlockResult result = {};
      result.sums = sums();
      result.width = target.width;
      result.rows = static_cast<int>(rows);
      result.channels = plan_.rows.channels;
      if (self_.shrink_columns_) result.column_norm = self_.column_triangles_.norm.data();
      if (self_.shrink_rows_) result.row_norm = self_.row_triangles_.norm.data() + y;
      std::copy_n(target.scale, 3, result.scale);
      std::copy_n(target.bias, 3, result.bias);
      result.mirrored = plan_.rows.mirrored;
      result.out = target.out + y * target.width;
      result.plane_pitch = target.height * target.width;
      self_.kernels_.write_block(result);
    }

    const Plan& plan_;
    const AntialiasResizer& self_;
    float* block_;
    float* carry_;  // what the segment that ends a block gives to the next row
    float* tile_;
    float* sums_;
    std::uint8_t* packed_;
  };

  void assign_axes(const ImageView& image, const Target& target) {
    const Sizes sizes = {image.height, image.width, target.height, target.width};
    if (sizes_ == sizes) return;
    sizes_ = {};  // for an exception
    shrink_rows_ = image.height >= target.height;
    shrink_columns_ = image.width >= target.width;
    if (shrink_rows_) {
      row_triangles_.assign(image.height, target.height);
    } else {
      row_taps_.assign(image.height, target.height);
    }
    if (shrink_columns_) {
      column_triangles_.assign(image.width, target.width);
      column_triangles_.begin.push_back(INT32_MAX);
      column_triangles_.norm.resize(static_cast<std::size_t>(round_up(target.width, lanes_)));
    } else {
      column_taps_.assign(image.width, target.width);
    }
    sizes_ = sizes;
  }

  const AntialiasKernels& kernels_;
  const int lanes_;
  Sizes sizes_ = {};
  bool shrink_rows_ = false;
  bool shrink_columns_ = false;
  TriangleAxis row_triangles_, column_triangles_;
  TwoTapAxis row_taps_, column_taps_;
  Scratch scratch_;
};

}  // namespace

std::unique_ptr<Resizer> make_antialias_resizer(Isa isa) {
  return std::make_unique<AntialiasResizer>(isa);
}

}  // namespace etseg
