#include "runtime/model.h"

#include <utility>

#include "runtime/pool.h"

namespace etseg {

Status ExecutorchModel::load() {
  // XNNPACK binds the pool, or none, at load.
  const WithoutPool without_pool(threads_ == Threads::kCaller);
  auto instance = std::make_unique<LoadedInstance>();
  ETSEG_RETURN_IF_ERROR(instance->load(*program_, threads_, doing_));
  instance_ = std::move(instance);
  return {};
}

Result<float*> ExecutorchModel::input() {
  if (instance_ == nullptr) ETSEG_RETURN_IF_ERROR(load());
  return instance_->input();
}

Result<LogitsView> ExecutorchModel::execute() {
  const WithoutPool without_pool(threads_ == Threads::kCaller);  // for what no backend took
  // Taken out for as long as it runs: what throws, or fails, leaves none behind.
  std::unique_ptr<LoadedInstance> running = std::move(instance_);
  Result<LogitsView> logits = running->execute(info());
  if (logits.ok()) instance_ = std::move(running);
  return logits;
}

}  // namespace etseg
