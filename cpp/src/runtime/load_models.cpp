#include <new>
#include <string>
#include <utility>

#include "etseg/runtime.h"
#include "runtime/load_models.h"
#include "runtime/model.h"
#include "runtime/packing.h"
#include "runtime/pool.h"
#include "runtime/program.h"
#include "runtime/start.h"
#include "runtime/weights_cache.h"

namespace etseg {
namespace {

Status check_count(int instances) {
  if (instances >= 1 && instances <= kMaxInstances) return {};
  return {Code::kInvalidUserInput, "the number of instances is " + std::to_string(instances) +
                                       "; expected 1 to " + std::to_string(kMaxInstances)};
}

}  // namespace

Status prepare_runtime(int instances) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  ETSEG_RETURN_IF_ERROR(check_count(instances));
  start_runtime();
  own_runtime();
  return instances == 1 ? start_pool() : Status();
}

Threads threads_of(int instances) { return instances == 1 ? Threads::kPool : Threads::kCaller; }

Result<std::vector<std::unique_ptr<Model>>> load_models(const std::string& path, int instances,
                                                        int packed_weights) {
  ETSEG_RETURN_IF_ERROR(prepare_runtime(instances));
  const std::string doing = "cannot load '" + path + "'";
  try {
    std::shared_ptr<const PackedWeights> weights;
    if (packed_weights >= 0) {
      auto mapped = PackedWeights::map(packed_weights);
      if (!mapped.ok()) return mapped.status();
      weights = std::move(mapped).value();
    }
    auto program = std::make_shared<LoadedProgram>();
    ETSEG_RETURN_IF_ERROR(program->load(path));
    const ProgramFile::KeepSegments keep(program->file());
    std::vector<std::unique_ptr<Model>> models;
    for (int i = 0; i < instances; ++i) {
      auto model =
          std::make_unique<ExecutorchModel>(program, threads_of(instances), doing, weights);
      ETSEG_RETURN_IF_ERROR(model->load());
      models.push_back(std::move(model));
    }
    return models;
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, doing + ": out of memory");
  }
}

std::unique_ptr<Packing> make_packing(const std::string& path, int instances) {
  return std::make_unique<ProgramPacking>(path, instances);
}

bool can_share_weights() { return WeightsCache::is_possible(); }

}  // namespace etseg
