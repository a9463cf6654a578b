// The one file that includes ExecuTorch. See etseg/runtime.h for the contract.
//
// ExecuTorch aborts the process on a wrong tag, type or rank (EValue::toTensor, Result::get), so
// everything is asked for before it is used.
#include "etseg/runtime.h"

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/backend/backend_options_map.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>
#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "aligned_buffer.h"
#include "etseg/log.h"
#include "program_interface.h"

// Exported by the pool's library, declared in headers that the wheel does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(std::uint32_t count);
};
ThreadPool* get_threadpool();

// Thread-local: while it is set, this thread is given no pool.
class NoThreadPoolGuard {
 public:
  static bool is_enabled();
  static void set_enabled(bool enabled);
};
}  // namespace executorch::extension::threadpool

namespace etseg {
namespace {

namespace et = ::executorch::runtime;
namespace ext = ::executorch::extension;
using ::executorch::aten::ScalarType;

constexpr const char* kMethod = "forward";
constexpr const char* kMetadataMethod = "etseg_metadata";

void on_log(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, std::size_t,
            const char* message, std::size_t length) {
  try {
    push_log(level == kDebug  ? LogLevel::kDebug
             : level == kInfo ? LogLevel::kInfo
                              : LogLevel::kError,
             std::string(message, length));
  } catch (const std::bad_alloc&) {
    // A log line is not worth a crash.
  }
}

// The process whose threads the pool consists of; 0 before there is one.
std::atomic<pid_t> pool_owner = 0;

void start_runtime() {
  static std::once_flag once;
  std::call_once(once, [] {
    et::register_pal(et::PalImpl::create(on_log, __FILE__));
    et::runtime_init();
    pool_owner.store(::getpid(), std::memory_order_relaxed);
  });
}

// ---- Messages.

std::string first_line(const LogCapture& log) {
  return log.lines().empty() ? "" : "; the runtime says: " + log.lines()[0];
}

std::string missing_operators(const LogCapture& log) {
  constexpr std::string_view kMark = "Missing operator: ";
  std::string names;
  for (const std::string& line : log.lines()) {
    const std::size_t at = line.find(kMark);
    if (at == std::string::npos) continue;
    std::string name = line.substr(at + kMark.size());
    if (const std::size_t bracket = name.find("] "); bracket != std::string::npos) {
      name.erase(0, bracket + 2);  // its index in the program
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "(not named by the runtime)" : names;
}

std::string backend_names() {
  std::string names;
  for (const std::string& name : runtime_info().backends) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

Status runtime_error(et::Error error, const std::string& doing, const LogCapture& log) {
  const std::string message = doing + ": " + et::to_string(error) + first_line(log);
  switch (error) {
    case et::Error::OperatorMissing:
      return {Code::kOperatorMissing,
              doing + ": the program needs operators that this build does not have: " +
                  missing_operators(log) +
                  ". Export it with the XNNPACK partitioner, or without custom operators"};
    case et::Error::NotFound:
    case et::Error::NotSupported:
    case et::Error::DelegateInvalidCompatibility:
      return {Code::kNotSupported, message};
    case et::Error::MemoryAllocationFailed:
    case et::Error::DelegateMemoryAllocationFailed:
    case et::Error::OutOfResources:
      return {Code::kOutOfMemory, message};
    case et::Error::InvalidProgram:
    case et::Error::InvalidExternalData:
    case et::Error::InvalidArgument:
    case et::Error::InvalidType:
    case et::Error::InvalidState:
      return {Code::kInvalidProgram, message};
    default:
      return {Code::kInternal, message};
  }
}

// ---- Checks, before anything that could abort.

Status check_file(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || ::access(path.c_str(), R_OK) != 0) {
    return {Code::kFileReadFailed,
            "cannot read the model file '" + path + "': " + std::strerror(errno)};
  }
  if (!S_ISREG(info.st_mode)) {
    return {Code::kFileReadFailed, "cannot read the model file '" + path + "': not a regular file"};
  }
  if (info.st_size < static_cast<off_t>(et::Program::kMinHeadBytes)) {
    return {Code::kInvalidProgram, "'" + path + "' is not an ExecuTorch program: it has only " +
                                       std::to_string(info.st_size) + " bytes"};
  }
  return {};
}

Status check_backends(const et::MethodMeta& meta, std::vector<std::string>& names) {
  for (std::size_t i = 0; i < meta.num_backends(); ++i) {
    const auto name = meta.get_backend_name(i);
    if (!name.ok()) return {Code::kInvalidProgram, "the program names no backend for a delegate"};
    const et::BackendInterface* backend = et::get_backend_class(name.get());
    if (backend == nullptr) {
      return {Code::kNotSupported,
              "the program is delegated to the backend '" + std::string(name.get()) +
                  "', which this build does not have; it has: " + backend_names() +
                  ". Export it for one of those."};
    }
    if (!backend->is_available()) {
      return {Code::kNotSupported, "the program is delegated to the backend '" +
                                       std::string(name.get()) +
                                       "', which is not usable here: the library it drives is not "
                                       "installed or cannot be loaded"};
    }
    names.emplace_back(name.get());
  }
  return {};
}

TensorDescription describe(const et::Result<et::TensorInfo>& tensor) {
  TensorDescription description;
  if (!tensor.ok()) return description;
  description.is_tensor = true;
  description.type = et::toString(tensor->scalar_type());
  description.is_float32 = tensor->scalar_type() == ScalarType::Float;
  description.sizes.assign(tensor->sizes().begin(), tensor->sizes().end());
  description.dim_order.assign(tensor->dim_order().begin(), tensor->dim_order().end());
  return description;
}

ProgramDescription describe(const et::MethodMeta& meta) {
  ProgramDescription program;
  for (std::size_t i = 0; i < meta.num_inputs(); ++i) {
    program.inputs.push_back(describe(meta.input_tensor_meta(i)));
  }
  for (std::size_t i = 0; i < meta.num_outputs(); ++i) {
    program.outputs.push_back(describe(meta.output_tensor_meta(i)));
  }
  return program;
}

// ---- A method of a program, with the memory it needs.

class LoadedMethod {
 public:
  Status load(const et::Program& program, const char* name, const std::string& doing,
              const LogCapture& log, const et::LoadBackendOptionsMap* options = nullptr) {
    const auto meta = program.method_meta(name);
    if (!meta.ok()) return runtime_error(meta.error(), doing, log);
    for (std::size_t i = 0; i < meta->num_memory_planned_buffers(); ++i) {
      const auto size = meta->memory_planned_buffer_size(i);
      if (!size.ok() || *size < 0) {
        return {Code::kInvalidProgram, doing + ": a planned buffer has no valid size"};
      }
      AlignedBuffer buffer = make_aligned_buffer(static_cast<std::size_t>(*size));
      if (!buffer) {
        return {Code::kOutOfMemory,
                doing + ": the program plans a buffer of " + std::to_string(*size) + " bytes"};
      }
      spans_.emplace_back(buffer.get(), static_cast<std::size_t>(*size));
      buffers_.push_back(std::move(buffer));
    }
    planned_.emplace(et::Span<et::Span<std::uint8_t>>(spans_.data(), spans_.size()));
    memory_.emplace(&method_allocator_, &*planned_, &temp_allocator_);
    auto method = program.load_method(name, &*memory_, nullptr, nullptr, options);
    if (!method.ok()) return runtime_error(method.error(), doing, log);
    method_.emplace(std::move(*method));
    return {};
  }

  et::Method* operator->() { return &*method_; }

 private:
  // In order of construction: each stands on the ones above it.
  ext::MallocMemoryAllocator method_allocator_;
  ext::MallocMemoryAllocator temp_allocator_;
  std::vector<AlignedBuffer> buffers_;
  std::vector<et::Span<std::uint8_t>> spans_;
  std::optional<et::HierarchicalAllocator> planned_;
  std::optional<et::MemoryManager> memory_;
  std::optional<et::Method> method_;
};

// Asked first: the runtime logs an error for a method that is not there.
bool has_method(const et::Program& program, std::string_view name) {
  for (std::size_t i = 0; i < program.num_methods(); ++i) {
    const auto found = program.get_method_name(i);
    if (found.ok() && *found == name) return true;
  }
  return false;
}

// What a program says about itself: a constant method that returns one string.
Result<std::string> read_metadata(const et::Program& program, const std::string& doing,
                                  const LogCapture& log) {
  if (!has_method(program, kMetadataMethod)) return std::string();
  const auto meta = program.method_meta(kMetadataMethod);
  if (!meta.ok()) return runtime_error(meta.error(), doing, log);
  if (meta->num_inputs() != 0 || meta->num_outputs() != 1) {
    return Status(Code::kInvalidProgram,
                  doing + ": its method 'etseg_metadata' is no constant string");
  }
  LoadedMethod method;
  ETSEG_RETURN_IF_ERROR(method.load(program, kMetadataMethod, doing, log));
  if (const et::Error error = method->execute(); error != et::Error::Ok) {
    return runtime_error(error, doing, log);
  }
  const et::EValue& value = method->get_output(0);
  if (!value.isString()) {
    return Status(Code::kInvalidProgram,
                  doing + ": its method 'etseg_metadata' is no constant string");
  }
  const auto text = value.toString();
  return std::string(text.data(), text.size());
}

// ---- The model.

// Counts the programs that live, and with them the pool they were loaded with.
std::mutex programs_mutex;
int programs = 0;

struct CountedProgram {
  CountedProgram() {
    const std::lock_guard lock(programs_mutex);
    ++programs;
  }
  ~CountedProgram() {
    const std::lock_guard lock(programs_mutex);
    --programs;
  }
};

// A mapped program, shared by its instances.
class LoadedProgram {
 public:
  Status load(const std::string& path) {
    ETSEG_RETURN_IF_ERROR(check_file(path));
    const std::string doing = "cannot load '" + path + "'";
    const LogCapture log;

    auto loader =
        ext::MmapDataLoader::from(path.c_str(), ext::MmapDataLoader::MlockConfig::NoMlock);
    if (!loader.ok()) return {Code::kFileReadFailed, doing + first_line(log)};
    loader_.emplace(std::move(*loader));

    // The cheaper verification lets damaged flatbuffers crash the process.
    auto program = et::Program::load(&*loader_, et::Program::Verification::InternalConsistency);
    if (!program.ok()) {
      return {Code::kInvalidProgram, "'" + path +
                                         "' is not an ExecuTorch program, or a damaged one (" +
                                         et::to_string(program.error()) + ")" + first_line(log)};
    }
    program_.emplace(std::move(*program));

    if (!has_method(*program_, kMethod)) {
      return {Code::kInvalidProgram, doing + ": it has no method '" + kMethod + "'"};
    }
    const auto meta = program_->method_meta(kMethod);
    if (!meta.ok()) return runtime_error(meta.error(), doing, log);
    Result<ModelInfo> info = check_interface(describe(*meta));
    if (!info.ok()) return {info.status().code(), doing + ": " + info.status().message()};
    info_ = std::move(info).value();
    if (Status status = check_backends(*meta, info_.backends); !status.ok()) {
      return {status.code(), doing + ": " + status.message()};
    }
    // OpenVINO's delegate writes its outputs planar, whatever dimension order the program declares.
    if (std::find(info_.backends.begin(), info_.backends.end(), "OpenvinoBackend") !=
        info_.backends.end()) {
      info_.output_layout = LogitsLayout::kPlanar;
    }
    Result<std::string> metadata = read_metadata(*program_, doing, log);
    if (!metadata.ok()) return metadata.status();
    info_.metadata = std::move(metadata).value();
    return {};
  }

  const et::Program& operator*() const { return *program_; }
  const ModelInfo& info() const { return info_; }

 private:
  // In order of construction: each stands on the ones above it.
  CountedProgram counted_;
  ModelInfo info_;
  std::optional<ext::MmapDataLoader> loader_;
  std::optional<et::Program> program_;
};

// Gives each instance that is loaded with it a workspace of its own: by default XNNPACK has one for
// the process, under one lock, and instances would run one after the other.
class OwnWorkspace {
 public:
  static const et::LoadBackendOptionsMap& options() {
    static OwnWorkspace self;  // what the map points to has to outlive the models
    return self.map_;
  }

 private:
  OwnWorkspace() {
    constexpr int kNotShared = 0;
    (void)option_.set_option("workspace_sharing_mode", kNotShared);  // fails only when full
    (void)map_.set_options("XnnpackBackend", option_.view());
  }

  et::BackendOptions<1> option_;
  et::LoadBackendOptionsMap map_;
};

// Keeps the thread off the pool, if `alone`, for as long as it lives.
class WithoutPool {
 public:
  explicit WithoutPool(bool alone) : before_(Guard::is_enabled()) {
    if (alone) Guard::set_enabled(true);
  }
  ~WithoutPool() { Guard::set_enabled(before_); }
  WithoutPool(const WithoutPool&) = delete;
  WithoutPool& operator=(const WithoutPool&) = delete;

 private:
  using Guard = ext::threadpool::NoThreadPoolGuard;
  const bool before_;
};

class ExecutorchModel final : public Model {
 public:
  // `alone`: runs on its caller's thread, beside others of its kind.
  ExecutorchModel(std::shared_ptr<const LoadedProgram> program, bool alone)
      : program_(std::move(program)), info_(program_->info()), alone_(alone) {}

  const ModelInfo& info() const override { return info_; }
  float* input() override { return input_; }

  Status load(const std::string& doing) {
    const LogCapture log;
    // XNNPACK binds the pool, or none, at load.
    const WithoutPool without_pool(alone_);
    ETSEG_RETURN_IF_ERROR(
        method_.load(**program_, kMethod, doing, log, alone_ ? &OwnWorkspace::options() : nullptr));
    const auto meta = (**program_).method_meta(kMethod);
    if (!meta.ok()) return runtime_error(meta.error(), doing, log);
    ETSEG_RETURN_IF_ERROR(bind_input(meta->input_tensor_meta(0)->sizes(), doing, log));
    return bind_outputs(doing, log);
  }

  Result<LogitsView> execute() override {
    const WithoutPool without_pool(alone_);  // for operators that no backend took
    const et::Error error = method_->execute();
    if (error != et::Error::Ok) {
      return Status(Code::kInternal, std::string("the program failed while it ran: ") +
                                         et::to_string(error) +
                                         "; the log of etseg has the runtime's own words");
    }
    const et::EValue& value = method_->get_output(0);
    if (!value.isTensor()) return Status(Code::kInvalidModelOutput, "the output is no tensor");
    const auto& tensor = value.toTensor();
    // A program may shrink its output at run time; what was checked at load is an upper bound.
    const auto sizes = tensor.sizes();
    const std::size_t rank = sizes.size();
    if (tensor.scalar_type() != ScalarType::Float || rank < 3 ||
        sizes[rank - 3] != info_.channels || sizes[rank - 2] != info_.output_height ||
        sizes[rank - 1] != info_.output_width || tensor.const_data_ptr() == nullptr) {
      return Status(Code::kInvalidModelOutput,
                    "the program returned " + shape_text({sizes.begin(), sizes.end()}) +
                        " where it had announced another shape or type at load");
    }
    return LogitsView{tensor.const_data_ptr<float>(), info_.channels, info_.output_height,
                      info_.output_width, info_.output_layout};
  }

 private:
  // Gives input() a place: the program's own, if it is in its memory plan, else one of ours.
  Status bind_input(et::Span<const std::int32_t> sizes, const std::string& doing,
                    const LogCapture& log) {
    std::size_t count = 1;
    for (const auto size : sizes) count *= static_cast<std::size_t>(size);
    AlignedBuffer buffer = make_aligned_buffer(count * sizeof(float));
    if (!buffer) return {Code::kOutOfMemory, doing + ": no memory for the input"};

    input_sizes_.assign(sizes.begin(), sizes.end());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      input_dim_order_.push_back(static_cast<std::uint8_t>(i));
    }
    input_strides_.assign(sizes.size(), 1);
    for (std::size_t i = sizes.size() - 1; i > 0; --i) {
      input_strides_[i - 1] = input_strides_[i] * input_sizes_[i];
    }
    input_tensor_.emplace(ScalarType::Float, static_cast<ssize_t>(sizes.size()),
                          input_sizes_.data(), buffer.get(), input_dim_order_.data(),
                          input_strides_.data());
    // Copies into the plan where there is one, else keeps the pointer. Done even where the plan's
    // memory is used: execute() insists that every input was set once.
    const et::Error error =
        method_->set_input(et::EValue(::executorch::aten::Tensor(&*input_tensor_)), 0);
    if (error != et::Error::Ok) return runtime_error(error, doing, log);

// The only way to the planned memory of an input; the alternative is a copy in every forward.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    et::EValue& value = method_->mutable_input(0);
#pragma GCC diagnostic pop
    if (!value.isTensor()) return {Code::kWrongDimensions, doing + ": the input is no tensor"};
    const auto& tensor = value.toTensor();
    if (static_cast<std::size_t>(tensor.numel()) != count || !tensor.const_data_ptr()) {
      return {Code::kWrongDimensions, doing + ": the input has no memory of the announced size"};
    }
    input_ = tensor.mutable_data_ptr<float>();
    if (input_ == reinterpret_cast<float*>(buffer.get())) input_buffer_ = std::move(buffer);
    return {};
  }

  // Gives memory to the outputs that have none in the plan: the program would write to null.
  Status bind_outputs(const std::string& doing, const LogCapture& log) {
    for (std::size_t i = 0; i < method_->outputs_size(); ++i) {
      const et::EValue& value = method_->get_output(i);
      if (!value.isTensor()) continue;
      const auto& tensor = value.toTensor();
      // Not null: in the plan, a constant of the file, or the input itself.
      if (tensor.const_data_ptr() != nullptr || tensor.nbytes() == 0) continue;
      const std::size_t size = tensor.nbytes();
      AlignedBuffer buffer = make_aligned_buffer(size);
      if (!buffer) {
        return {Code::kOutOfMemory,
                doing + ": no memory for an output of " + std::to_string(size) + " bytes"};
      }
      const et::Error error = method_->set_output_data_ptr(buffer.get(), size, i);
      if (error != et::Error::Ok) return runtime_error(error, doing, log);
      output_buffers_.push_back(std::move(buffer));
    }
    return {};
  }

  // In order of construction: each stands on the ones above it.
  const std::shared_ptr<const LoadedProgram> program_;
  const ModelInfo& info_;
  const bool alone_;
  AlignedBuffer input_buffer_;
  std::vector<::executorch::aten::SizesType> input_sizes_;
  std::vector<::executorch::aten::DimOrderType> input_dim_order_;
  std::vector<::executorch::aten::StridesType> input_strides_;
  std::optional<::executorch::aten::TensorImpl> input_tensor_;
  std::vector<AlignedBuffer> output_buffers_;
  LoadedMethod method_;
  float* input_ = nullptr;
};

// ---- The pool.

class RuntimeExecutor final : public Executor {
 public:
  int concurrency() const override { return static_cast<int>(ext::get_thread_count()); }
  void run(std::int64_t begin, std::int64_t end, std::int64_t grain,
           RangeBody body) const override {
    ext::parallel_for(begin, end, grain,
                      [&](std::int64_t from, std::int64_t to) { body(from, to); });
  }
};

}  // namespace

Status check_runtime_process() {
  const pid_t owner = pool_owner.load(std::memory_order_relaxed);
  if (owner == 0 || owner == ::getpid()) return {};
  return {Code::kThreadPoolError,
          "this process was forked from process " + std::to_string(owner) +
              " after etseg had started its threads there, and threads do not survive a fork. "
              "Load models in the child only, or start children with the 'spawn' method"};
}

Result<std::vector<std::unique_ptr<Model>>> load_models(const std::string& path, int instances) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  if (instances < 1 || instances > kMaxInstances) {
    return Status(Code::kInvalidUserInput, "the number of instances is " +
                                               std::to_string(instances) + "; expected 1 to " +
                                               std::to_string(kMaxInstances));
  }
  start_runtime();
  const std::string doing = "cannot load '" + path + "'";
  try {
    auto program = std::make_shared<LoadedProgram>();
    ETSEG_RETURN_IF_ERROR(program->load(path));
    std::vector<std::unique_ptr<Model>> models;
    for (int i = 0; i < instances; ++i) {
      auto model = std::make_unique<ExecutorchModel>(program, instances > 1);
      ETSEG_RETURN_IF_ERROR(model->load(doing));
      models.push_back(std::move(model));
    }
    return models;
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, doing + ": out of memory");
  }
}

const Executor& runtime_executor(int instances) {
  static const RuntimeExecutor pool;
  static const SerialExecutor caller;
  if (instances == 1) return pool;
  return caller;
}

int thread_count() {
  start_runtime();
  return runtime_executor(1).concurrency();
}

Status set_thread_count(int count) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  start_runtime();
  if (count < 1 || count > kMaxThreads) {
    return {Code::kInvalidUserInput, "the number of threads is " + std::to_string(count) +
                                         "; expected 1 to " + std::to_string(kMaxThreads)};
  }
  const std::lock_guard lock(programs_mutex);
  if (programs > 0) {
    return {Code::kInvalidState, "the number of threads cannot change while a model is loaded (" +
                                     std::to_string(programs) +
                                     " now); delete() them first, or set it at the start"};
  }
  if (!ext::threadpool::get_threadpool()->_unsafe_reset_threadpool(
          static_cast<std::uint32_t>(count))) {
    return {Code::kInternal, "the runtime could not start " + std::to_string(count) + " threads"};
  }
  return {};
}

RuntimeInfo runtime_info() {
  start_runtime();
  RuntimeInfo info;
  info.version = ETSEG_EXECUTORCH_VERSION;
  for (std::size_t i = 0; i < et::get_num_registered_backends(); ++i) {
    if (const auto name = et::get_backend_name(i); name.ok()) info.backends.emplace_back(*name);
  }
  info.operators = static_cast<int>(et::get_registered_kernels().size());
  return info;
}

}  // namespace etseg
