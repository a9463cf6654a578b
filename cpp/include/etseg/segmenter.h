// The whole way of one image: preprocess, model, postprocess. Everything above this file is
// conversion; everything below it is one stage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "etseg/image.h"
#include "etseg/label_map.h"
#include "etseg/map_pool.h"
#include "etseg/model.h"
#include "etseg/parallel.h"
#include "etseg/postprocess.h"
#include "etseg/preprocess.h"
#include "etseg/status.h"

namespace etseg {

struct SegmenterOptions {
  PreprocessOptions preprocess;  // its format is the model's
  Activation activation = Activation::kSoftmax;
  LogitsGrid grid;          // of the logits, once the model has made them
  std::int64_t labels = 0;  // of a model that returns labels: how many there are
};

// Wall-clock time of each stage of one call, in nanoseconds.
struct StageTimes {
  std::int64_t preprocess = 0;
  std::int64_t inference = 0;
  std::int64_t postprocess = 0;
};

// Thread-safe. As many calls to forward() run at a time as there are models, in the order they
// came.
class Segmenter {
 public:
  // Takes over the models, instances of one program; at least one. `executor` must outlive the
  // segmenter, and allow as many concurrent run() as there are models. `process_check` is asked at
  // the start of every call and refuses it when it fails (check_runtime_process in production).
  static Result<std::shared_ptr<Segmenter>> create(
      std::vector<std::unique_ptr<Model>> models, const SegmenterOptions& options,
      const Executor& executor, std::function<Status()> process_check = [] { return Status(); });
  ~Segmenter();
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;

  const ModelInfo& info() const;  // valid for the segmenter's lifetime, closed or not

  // Where the maps of the targets may come from. At most what the maps of as many results need as
  // there are models, of the size last asked for, is kept; nothing once closed.
  std::shared_ptr<MapPool> maps(std::size_t bytes_of_a_result);

  // Segments the image into `target`. Waits for a free model; blocks while it runs.
  // kModuleNotLoaded if close() came before its turn did; the errors of the stages. On an error
  // what the target's maps hold is undefined, and the segmenter is as usable as before.
  Status forward(const ImageView& image, const PostprocessTarget& target, StageTimes& times);

  // Runs each model once on a grey image, one after the other, as forward() does with its errors.
  Status warm_up();

  // Frees what is kept to be used again: maps of results that are gone, and what models that no
  // call uses have around them. Does not wait.
  void trim();

  // Returns at once. A call that runs finishes and then frees its model; calls that wait, or come
  // later, get kModuleNotLoaded. Models that no call uses are freed here. Idempotent.
  void close();

 private:
  class Impl;
  explicit Segmenter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace etseg
