// Two taps an axis: one kernel call an output row; reads only the pixels that have a weight.
#include <algorithm>
#include <vector>

#include "kernels/kernels.h"
#include "preprocess/filter_tables.h"
#include "preprocess/input_rows.h"
#include "preprocess/resampler.h"

namespace etseg {

namespace {

class BilinearResampler final : public Resampler {
 public:
  explicit BilinearResampler(Isa isa) : kernels_(kernels_for(isa).bilinear) {}

  void run(const ImageView& image, const ResampleTarget& target,
           const Executor& executor) override {
    const std::int64_t tasks = std::min<std::int64_t>(executor.concurrency(), target.height);
    prepare(image, target, tasks);
    executor.run(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
      BilinearRow row = row_;
      row.words += begin * 4 * row.words_pitch;  // the scratch of the first task is ours
      float* const staged = staged_.empty() ? nullptr : staged_.data() + begin * 3 * target.width;
      run_rows(image, target, row, staged, part_begin(target.height, tasks, begin),
               part_begin(target.height, tasks, end));
    });
  }

 private:
  void prepare(const ImageView& image, const ResampleTarget& target, std::int64_t tasks) {
    const ResampleSizes sizes(image, target);
    if (sizes_ != sizes) {
      sizes_ = ResampleSizes();  // should one of the next lines throw
      rows_.assign(image.height, target.height);
      columns_.assign(image.width, target.width);
      const std::int64_t padded =
          (target.width + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
      columns_.weight.resize(static_cast<std::size_t>(padded));
      first_.resize(static_cast<std::size_t>(target.width));
      second_.resize(static_cast<std::size_t>(target.width));
      row_.words_pitch = padded;
      sizes_ = sizes;
    }
    const auto words = static_cast<std::size_t>(tasks * 4 * row_.words_pitch);
    if (words_.size() < words) words_.resize(words);
    row_.words = words_.data();
    row_.first = first_.data();
    row_.second = second_.data();
    row_.weights = columns_.weight.data();
    row_.width = target.width;
    staged_.resize(target.is_planar_floats() ? 0
                                             : static_cast<std::size_t>(tasks * 3 * target.width));
    row_.plane_pitch = target.is_planar_floats() ? target.height * target.width : target.width;
    for (std::size_t c = 0; c < 3; ++c) {
      row_.scale[c] = target.scale[c];
      row_.bias[c] = target.bias[c];
    }
    place_channels(image);
  }

  void place_channels(const ImageView& image) {
    const auto [low, high] =
        std::minmax_element(image.channel_offset.begin(), image.channel_offset.end());
    for (std::size_t i = 0; i < first_.size(); ++i) {
      first_[i] = columns_.first[i] * image.pixel_stride;
      second_[i] = columns_.second[i] * image.pixel_stride;
    }
    const bool fits = *high - *low < 4;
    for (std::size_t c = 0; c < 3; ++c) {
      row_.channel_offset[c] = image.channel_offset[c];
      row_.channel_shift[c] = static_cast<int>(
          8 * (fits ? image.channel_offset[c] - *low : static_cast<std::ptrdiff_t>(c)));
    }
    row_.grey = *high == *low;
    row_.word_offset = *low;
    row_.word_begin = row_.word_end = 0;
    if (!fits) return;
    // A word must not reach past the last byte of the row. The outputs for which it does not are
    // the first or the last ones, as the pixel stride has it.
    const std::ptrdiff_t row_end =
        std::max<std::ptrdiff_t>(0, (image.width - 1) * image.pixel_stride) + *high + 1;
    const auto whole = [&](std::size_t i) {
      return std::max(first_[i], second_[i]) + *low + 4 <= row_end;
    };
    std::size_t begin = 0;
    while (begin < first_.size() && !whole(begin)) ++begin;
    std::size_t end = begin;
    while (end < first_.size() && whole(end)) ++end;
    row_.word_begin = static_cast<std::int64_t>(begin);
    row_.word_end = static_cast<std::int64_t>(end);
  }

  // With `staged`, a row of each channel, rows go there first.
  void run_rows(const ImageView& image, const ResampleTarget& target, BilinearRow& row,
                float* staged, std::int64_t begin, std::int64_t end) const {
    for (std::int64_t y = begin; y < end; ++y) {
      const auto at = static_cast<std::size_t>(y);
      row.above = image.data + rows_.first[at] * image.row_stride;
      row.below = image.data + rows_.second[at] * image.row_stride;
      row.weight = rows_.weight[at];
      row.next_above = row.next_below = nullptr;
      if (y + 1 < end) {
        row.next_above = image.data + rows_.first[at + 1] * image.row_stride;
        row.next_below = image.data + rows_.second[at + 1] * image.row_stride;
      }
      row.out = staged ? staged : static_cast<float*>(target.out) + y * target.width;
      kernels_.row(row);
      if (staged) store_rows(staged, target.width, 1, target, y);
    }
  }

  const BilinearKernels& kernels_;
  ResampleSizes sizes_;
  TwoTapAxis rows_, columns_;
  std::vector<std::ptrdiff_t> first_, second_;
  std::vector<std::uint32_t> words_;
  std::vector<float> staged_;  // of each task; empty for planar floats
  BilinearRow row_ = {};
};

}  // namespace

std::unique_ptr<Resampler> make_bilinear_resampler(Isa isa) {
  return std::make_unique<BilinearResampler>(isa);
}

}  // namespace etseg
