#include "runtime/model.h"

#include <mutex>
#include <utility>

#include "etseg/log.h"
#include "runtime/pool.h"
#include "runtime/weights_cache.h"

namespace etseg {

Status ExecutorchModel::load() {
  const std::lock_guard lock(program_->loading());
  // XNNPACK binds the pool, or none, at load.
  const WithoutPool without_pool(threads_ == Threads::kCaller);
  if (weights_ != nullptr) {
    Result<std::unique_ptr<LoadedInstance>> instance = load_sharing();
    if (!instance.ok()) return instance.status();
    instance_ = std::move(instance).value();
    if (instance_ != nullptr) return {};
    weights_.reset();
  }
  auto instance = std::make_unique<LoadedInstance>();
  ETSEG_RETURN_IF_ERROR(instance->load(*program_, threads_, doing_));
  instance_ = std::move(instance);
  return {};
}

// Null where the weights do not fit.
Result<std::unique_ptr<LoadedInstance>> ExecutorchModel::load_sharing() const {
  const ProgramFile& file = program_->file();
  const ProgramFile::MapUnread unread(file, weights_->unread());
  auto instance = std::make_unique<LoadedInstance>();
  ETSEG_RETURN_IF_ERROR(
      instance->load(*program_, threads_, doing_, std::make_unique<WeightsCache>(file, weights_)));
  if (!instance->weights().fits() || !unread.were_let_go()) instance.reset();
  return instance;
}

Result<void*> ExecutorchModel::input() {
  if (weights_ != nullptr && instance_ != nullptr && !weights_->is_intact()) {
    push_log(LogLevel::kWarning,
             "the file of packed weights was changed while it was in use: the model packs its own");
    instance_.reset();
    weights_.reset();
  }
  if (instance_ == nullptr) ETSEG_RETURN_IF_ERROR(load());
  return instance_->input();
}

Result<ModelOutput> ExecutorchModel::execute() {
  const WithoutPool without_pool(threads_ == Threads::kCaller);  // for what no backend took
  // Taken out for as long as it runs: what throws, or fails, leaves none behind.
  std::unique_ptr<LoadedInstance> running = std::move(instance_);
  Result<ModelOutput> output = running->execute(info());
  if (output.ok()) instance_ = std::move(running);
  return output;
}

}  // namespace etseg
