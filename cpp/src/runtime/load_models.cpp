#include <new>
#include <string>
#include <utility>

#include "etseg/runtime.h"
#include "runtime/model.h"
#include "runtime/pool.h"
#include "runtime/program.h"
#include "runtime/start.h"

namespace etseg {

Result<std::vector<std::unique_ptr<Model>>> load_models(const std::string& path, int instances) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  if (instances < 1 || instances > kMaxInstances) {
    return Status(Code::kInvalidUserInput, "the number of instances is " +
                                               std::to_string(instances) + "; expected 1 to " +
                                               std::to_string(kMaxInstances));
  }
  start_runtime();
  own_runtime();
  // Several run on their callers' threads alone.
  if (instances == 1) ETSEG_RETURN_IF_ERROR(start_pool());
  const std::string doing = "cannot load '" + path + "'";
  try {
    auto program = std::make_shared<LoadedProgram>();
    ETSEG_RETURN_IF_ERROR(program->load(path));
    const Threads threads = instances == 1 ? Threads::kPool : Threads::kCaller;
    const ProgramFile::KeepSegments keep(program->file());
    std::vector<std::unique_ptr<Model>> models;
    for (int i = 0; i < instances; ++i) {
      auto model = std::make_unique<ExecutorchModel>(program, threads, doing);
      ETSEG_RETURN_IF_ERROR(model->load());
      models.push_back(std::move(model));
    }
    return models;
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, doing + ": out of memory");
  }
}

}  // namespace etseg
