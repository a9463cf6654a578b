#include "etseg/segmenter.h"

#include <unistd.h>

#include <chrono>
#include <new>
#include <string>
#include <utility>

#include "etseg/isa.h"
#include "turns.h"

namespace etseg {
namespace {

Status check_options(const ModelInfo& info, const SegmenterOptions& options) {
  if (options.activation == Activation::kSigmoid && info.channels != 1) {
    return {Code::kInvalidConfig,
            "activation 'sigmoid' is for programs with one output channel, but this one has " +
                std::to_string(info.channels) + "; use 'softmax', or 'none' for probabilities"};
  }
  if (options.activation == Activation::kSoftmax && info.channels == 1) {
    return {Code::kInvalidConfig,
            "activation 'softmax' over one output channel is 1 everywhere; use 'sigmoid' for a "
            "logit, or 'none' for a probability"};
  }
  return active_isa().status();
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
  Impl(std::unique_ptr<Model> model, const SegmenterOptions& options, const Executor& executor,
       std::function<Status()> process_check)
      : info_(model->info()),
        process_check_(std::move(process_check)),
        executor_(executor),
        stages_(new Stages{std::move(model), Preprocessor(options.preprocess),
                           Postprocessor(options.activation)}) {}

  ~Impl() { close(); }

  const ModelInfo& info() const { return info_; }

  Status forward(const ImageView& image, const PostprocessTarget& target, StageTimes& times) {
    // Before anything is locked: in a forked child the lock may be held for ever.
    ETSEG_RETURN_IF_ERROR(process_check_());
    if (!turns_.take()) {
      return {Code::kModuleNotLoaded, "the model was deleted before this call had its turn"};
    }
    Status status = run(image, target, times);
    if (turns_.give_back()) stages_.reset();
    return status;
  }

  void close() {
    if (getpid() != owner_) {
      // A forked child: the locks may be held by threads that do not exist here, and the runtime
      // would wait for its own. The memory goes with the process.
      (void)stages_.release();
      return;
    }
    if (turns_.close()) stages_.reset();
  }

 private:
  struct Stages {
    std::unique_ptr<Model> model;
    Preprocessor preprocessor;
    Postprocessor postprocessor;
  };

  Status run(const ImageView& image, const PostprocessTarget& target, StageTimes& times) {
    try {
      Stopwatch watch;
      ETSEG_RETURN_IF_ERROR(stages_->preprocessor.run(image, info_.input_height, info_.input_width,
                                                      stages_->model->input(), executor_));
      times.preprocess = watch.lap();
      Result<LogitsView> logits = stages_->model->execute();
      times.inference = watch.lap();
      if (!logits.ok()) return logits.status();
      ETSEG_RETURN_IF_ERROR(stages_->postprocessor.run(logits.value(), target, executor_));
      times.postprocess = watch.lap();
      return {};
    } catch (const std::bad_alloc&) {
      return {Code::kOutOfMemory, "out of memory during forward"};
    }
  }

  const pid_t owner_ = getpid();
  const ModelInfo info_;
  const std::function<Status()> process_check_;
  const Executor& executor_;
  Turns turns_;
  std::unique_ptr<Stages> stages_;  // touched by whoever has the turn; by close() when nobody has
};

Segmenter::Segmenter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Segmenter::~Segmenter() = default;

Result<std::shared_ptr<Segmenter>> Segmenter::create(std::unique_ptr<Model> model,
                                                     const SegmenterOptions& options,
                                                     const Executor& executor,
                                                     std::function<Status()> process_check) {
  ETSEG_RETURN_IF_ERROR(check_options(model->info(), options));
  try {
    auto impl =
        std::make_unique<Impl>(std::move(model), options, executor, std::move(process_check));
    return std::shared_ptr<Segmenter>(new Segmenter(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, "out of memory while preparing the model");
  }
}

const ModelInfo& Segmenter::info() const { return impl_->info(); }

Status Segmenter::forward(const ImageView& image, const PostprocessTarget& target,
                          StageTimes& times) {
  return impl_->forward(image, target, times);
}

void Segmenter::close() { impl_->close(); }

}  // namespace etseg
