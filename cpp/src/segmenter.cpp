#include "etseg/segmenter.h"

#include <unistd.h>

#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "etseg/isa.h"
#include "instance_queue.h"

namespace etseg {
namespace {

Status check_options(const ModelInfo& info, const SegmenterOptions& options) {
  const PreprocessOptions& preprocess = options.preprocess;
  if (info.input_format.bytes &&
      (preprocess.mean != PreprocessOptions().mean || preprocess.std != PreprocessOptions().std)) {
    return {Code::kInvalidConfig,
            "the program takes bytes, which it normalises itself; leave out mean and std"};
  }
  if (info.channels == 0) {
    if (options.grid.kind == LogitsGridKind::kHalfPixel && options.labels >= 1) return {};
    return {Code::kInvalidConfig,
            "the program returns labels: there must be at least one, on a 'half-pixel' grid"};
  }
  const bool normalise = options.activation == Activation::kNormalise;
  if ((normalise || options.activation == Activation::kSoftmax) && info.channels == 1) {
    return {Code::kInvalidConfig, std::string("activation '") +
                                      (normalise ? "normalise" : "softmax") +
                                      "' over one output channel is 1 everywhere; use 'sigmoid' "
                                      "for a logit, or 'none' for a probability"};
  }
  const LogitsGrid& grid = options.grid;
  if (grid.kind == LogitsGridKind::kAlignCorners && (grid.head_height < 1 || grid.head_width < 1)) {
    return {Code::kInvalidConfig, "the logits' grid is 'align-corners' for a head's output of " +
                                      std::to_string(grid.head_height) + "x" +
                                      std::to_string(grid.head_width) +
                                      "; both must be at least 1"};
  }
  return {};
}

class Stopwatch {
 public:
  // Nanoseconds since the last lap, or since the construction.
  std::int64_t lap() {
    const auto now = std::chrono::steady_clock::now();
    const auto elapsed = now - std::exchange(last_, now);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

class Segmenter::Impl {
 public:
  Impl(std::vector<std::unique_ptr<Model>> models, const SegmenterOptions& options, Isa isa,
       const Executor& executor, std::function<Status()> process_check)
      : info_(models.front()->info()),
        options_(options),
        isa_(isa),
        process_check_(std::move(process_check)),
        executor_(executor),
        queue_(models.size()) {
    instances_.reserve(models.size());
    for (std::unique_ptr<Model>& model : models) {
      instances_.push_back(std::unique_ptr<Instance>(
          new Instance{std::move(model), preprocessor(), postprocessor(), LabelMapper()}));
    }
  }

  ~Impl() { close(); }

  const ModelInfo& info() const { return info_; }

  std::shared_ptr<MapPool> maps(std::size_t bytes_of_a_result) {
    maps_->keep_at_most(bytes_of_a_result * instances_.size());
    return maps_;
  }

  Status forward(const ImageView& image, const PostprocessTarget& target, StageTimes& times,
                 bool on_the_coldest = false) {
    // Before anything is locked: in a forked child the lock may be held for ever.
    ETSEG_RETURN_IF_ERROR(process_check_());
    const std::optional<std::size_t> number = queue_.take(on_the_coldest);
    if (!number) {
      return {Code::kModuleNotLoaded, "the model was deleted before this call had its turn"};
    }
    Status status = run(*instances_[*number], image, target, times);
    if (queue_.give_back(*number)) instances_[*number].reset();
    return status;
  }

  Status warm_up() {
    const auto height = info_.input_height, width = info_.input_width;
    const std::vector<std::uint8_t> grey(static_cast<std::size_t>(3 * height * width), 128);
    std::vector<std::int32_t> argmax(
        static_cast<std::size_t>(info_.output_height * info_.output_width));
    ImageView image;
    image.data = grey.data();
    image.height = height;
    image.width = width;
    image.row_stride = 3 * width;
    image.pixel_stride = 3;
    PostprocessTarget target;
    target.height = info_.output_height;
    target.width = info_.output_width;
    target.argmax = argmax.data();
    target.own_points = true;
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      StageTimes times;
      ETSEG_RETURN_IF_ERROR(forward(image, target, times, true));
    }
    return {};
  }

  void trim() {
    if (getpid() != owner_) return;
    maps_->trim();
    for (const std::size_t number : queue_.take_free()) {
      Instance& instance = *instances_[number];
      try {
        instance.preprocessor = preprocessor();
        instance.postprocessor = postprocessor();
        instance.label_mapper = LabelMapper();
      } catch (const std::bad_alloc&) {
        // It keeps what it has, and is given back all the same.
      }
      if (queue_.give_back(number)) instances_[number].reset();
    }
  }

  void close() {
    if (getpid() != owner_) {
      // A forked child: the locks may be held by threads that do not exist here, and the runtime
      // would wait for its own. The memory goes with the process.
      for (std::unique_ptr<Instance>& instance : instances_) (void)instance.release();
      return;
    }
    for (const std::size_t number : queue_.close()) instances_[number].reset();
    maps_->close();
  }

 private:
  // One execution instance: the model's memory, and the workspaces of the stages around it.
  struct Instance {
    std::unique_ptr<Model> model;
    Preprocessor preprocessor;
    Postprocessor postprocessor;
    LabelMapper label_mapper;
  };

  Preprocessor preprocessor() const {
    PreprocessOptions options = options_.preprocess;
    options.format = info_.input_format;
    return {options, isa_};
  }
  Postprocessor postprocessor() const { return {options_.activation, isa_, options_.grid}; }

  Status run(Instance& instance, const ImageView& image, const PostprocessTarget& target,
             StageTimes& times) const {
    try {
      Stopwatch watch;
      const Result<void*> input = instance.model->input();
      if (!input.ok()) return input.status();
      ETSEG_RETURN_IF_ERROR(instance.preprocessor.run(image, info_.input_height, info_.input_width,
                                                      input.value(), executor_));
      times.preprocess = watch.lap();
      const Result<ModelOutput> output = instance.model->execute();
      times.inference = watch.lap();
      if (!output.ok()) return output.status();
      ETSEG_RETURN_IF_ERROR(postprocess(instance, output.value(), target));
      times.postprocess = watch.lap();
      return {};
    } catch (const std::bad_alloc&) {
      return {Code::kOutOfMemory, "out of memory during forward"};
    }
  }

  Status postprocess(Instance& instance, const ModelOutput& output,
                     const PostprocessTarget& target) const {
    if (const auto* const logits = std::get_if<LogitsView>(&output)) {
      return instance.postprocessor.run(*logits, target, executor_);
    }
    return instance.label_mapper.run(*std::get_if<LabelMapView>(&output), options_.labels, target,
                                     executor_);
  }

  const pid_t owner_ = getpid();
  const ModelInfo info_;
  const SegmenterOptions options_;
  const Isa isa_;
  const std::function<Status()> process_check_;
  const Executor& executor_;
  InstanceQueue queue_;
  const std::shared_ptr<MapPool> maps_ = std::make_shared<MapPool>();
  // Each is touched by whoever the queue gave its number; by close() when nobody has it.
  std::vector<std::unique_ptr<Instance>> instances_;
};

Segmenter::Segmenter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Segmenter::~Segmenter() = default;

Result<std::shared_ptr<Segmenter>> Segmenter::create(std::vector<std::unique_ptr<Model>> models,
                                                     const SegmenterOptions& options,
                                                     const Executor& executor,
                                                     std::function<Status()> process_check) {
  if (models.empty()) return Status(Code::kInvalidState, "a segmenter needs at least one model");
  ETSEG_RETURN_IF_ERROR(check_options(models.front()->info(), options));
  const Result<Isa>& isa = active_isa();
  if (!isa.ok()) return isa.status();
  try {
    auto impl = std::make_unique<Impl>(std::move(models), options, isa.value(), executor,
                                       std::move(process_check));
    return std::shared_ptr<Segmenter>(new Segmenter(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, "out of memory while preparing the model");
  }
}

const ModelInfo& Segmenter::info() const { return impl_->info(); }

std::shared_ptr<MapPool> Segmenter::maps(std::size_t bytes_of_a_result) {
  return impl_->maps(bytes_of_a_result);
}

Status Segmenter::forward(const ImageView& image, const PostprocessTarget& target,
                          StageTimes& times) {
  try {
    return impl_->forward(image, target, times);
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "out of memory while the call waited for its turn"};
  }
}

Status Segmenter::warm_up() {
  try {
    return impl_->warm_up();
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "out of memory while the model was warmed up"};
  }
}

void Segmenter::trim() { impl_->trim(); }

void Segmenter::close() { impl_->close(); }

}  // namespace etseg
