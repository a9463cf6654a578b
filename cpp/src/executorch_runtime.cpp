// The one file that includes ExecuTorch. See etseg/runtime.h for the contract.
//
// ExecuTorch aborts the process on a wrong tag, type or rank (EValue::toTensor, Result::get), so
// everything is asked for before it is used.
#include "etseg/runtime.h"

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>
#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "etseg/log.h"

// Exported by the pool's library, declared in a header that the wheel does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(std::uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace etseg {
namespace {

namespace et = ::executorch::runtime;
namespace ext = ::executorch::extension;
using ::executorch::aten::ScalarType;

constexpr const char* kMethod = "forward";
constexpr std::size_t kAlignment = 64;
// XNNPACK's kernels may read this far past the end of what they are given.
constexpr std::size_t kReadPadding = 128;

// ---- Log: the runtime's lines go to the queue, and to whoever is loading on this thread.

thread_local std::vector<std::string>* load_lines = nullptr;

void on_log(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, std::size_t,
            const char* message, std::size_t length) {
  try {
    std::string line(message, length);
    if (load_lines != nullptr && level != kInfo && level != kDebug) load_lines->push_back(line);
    push_log(level == kDebug  ? LogLevel::kDebug
             : level == kInfo ? LogLevel::kInfo
                              : LogLevel::kError,
             std::move(line));
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

// Collects the error lines that the runtime writes on this thread while it loads: it returns a
// number, and says only there which operator is missing.
class LoadLines {
 public:
  LoadLines() { load_lines = &lines_; }
  ~LoadLines() { load_lines = nullptr; }

  std::string missing_operators() const {
    constexpr std::string_view kMark = "Missing operator: ";
    std::string names;
    for (const std::string& line : lines_) {
      const std::size_t at = line.find(kMark);
      if (at == std::string::npos) continue;
      std::string name = line.substr(at + kMark.size());
      if (const std::size_t bracket = name.find("] "); bracket != std::string::npos) {
        name.erase(0, bracket + 2);  // its index in the program
      }
      names += (names.empty() ? "" : ", ") + name;
    }
    return names;
  }

  std::string first() const { return lines_.empty() ? "" : "; the runtime says: " + lines_[0]; }

 private:
  std::vector<std::string> lines_;
};

// ---- Names for messages.

template <typename Sizes>
std::string shape_text(const Sizes& sizes) {
  std::string text = "[";
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(sizes[i]);
  }
  return text + "]";
}

// Whether the dimensions lie in memory in this order; the batch, if any, is outermost.
bool is_in_order(const et::TensorInfo& tensor, std::array<std::uint8_t, 3> chw) {
  const auto order = tensor.dim_order();
  const std::size_t batch = order.size() - 3;
  if (batch == 1 && order[0] != 0) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    if (order[batch + i] != batch + chw[i]) return false;
  }
  return true;
}

bool is_planar(const et::TensorInfo& tensor) { return is_in_order(tensor, {0, 1, 2}); }
bool is_interleaved(const et::TensorInfo& tensor) { return is_in_order(tensor, {1, 2, 0}); }

std::string tensor_text(const et::TensorInfo& tensor) {
  return std::string(::executorch::runtime::toString(tensor.scalar_type())) + " " +
         shape_text(tensor.sizes()) + " in the dimension order " +
         shape_text(tensor.dim_order());
}

std::string backend_names() {
  std::string names;
  for (const std::string& name : runtime_info().backends) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

Status runtime_error(et::Error error, const std::string& doing, const LoadLines& lines) {
  switch (error) {
    case et::Error::OperatorMissing: {
      const std::string names = lines.missing_operators();
      return {Code::kOperatorMissing,
              doing + ": the program needs operators that this build does not have: " +
                  (names.empty() ? "(not named by the runtime)" : names) +
                  ". Export it with the XNNPACK partitioner, or without custom operators."};
    }
    case et::Error::NotFound:
    case et::Error::NotSupported:
    case et::Error::DelegateInvalidCompatibility:
      return {Code::kNotSupported, doing + ": " + et::to_string(error) + lines.first()};
    case et::Error::MemoryAllocationFailed:
    case et::Error::DelegateMemoryAllocationFailed:
    case et::Error::OutOfResources:
      return {Code::kOutOfMemory, doing + ": " + et::to_string(error) + lines.first()};
    case et::Error::InvalidProgram:
    case et::Error::InvalidExternalData:
    case et::Error::InvalidArgument:
    case et::Error::InvalidType:
    case et::Error::InvalidState:
      return {Code::kInvalidProgram, doing + ": " + et::to_string(error) + lines.first()};
    default:
      return {Code::kInternal, doing + ": " + et::to_string(error) + lines.first()};
  }
}

// ---- Checks of what the program says about itself.

// [1,C,H,W] or [C,H,W], float32, no empty side.
bool is_image(const et::TensorInfo& tensor) {
  const auto sizes = tensor.sizes();
  if (sizes.size() != 3 && sizes.size() != 4) return false;
  if (sizes.size() == 4 && sizes[0] != 1) return false;
  for (const auto size : sizes) {
    if (size < 1) return false;
  }
  return tensor.scalar_type() == ScalarType::Float;
}

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
      return {Code::kNotSupported, "the program is delegated to the backend '" +
                                       std::string(name.get()) +
                                       "', which this build does not have; it has: " +
                                       backend_names() + ". Export it for one of those."};
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

Status check_interface(const et::MethodMeta& meta, ModelInfo& info) {
  const std::string expects =
      " A segmentation program takes one float32 image [1,3,H,W] or [3,H,W] and returns float32 "
      "logits or probabilities [1,C,H,W] or [C,H,W] first.";
  if (meta.num_inputs() != 1) {
    return {Code::kUnexpectedNumInputs,
            "the program takes " + std::to_string(meta.num_inputs()) + " inputs." + expects};
  }
  const auto input = meta.input_tensor_meta(0);
  if (!input.ok()) return {Code::kWrongDimensions, "the program's input is no tensor." + expects};
  const auto input_sizes = input->sizes();
  if (!is_image(*input) || !is_planar(*input) || input_sizes[input_sizes.size() - 3] != 3) {
    return {Code::kWrongDimensions,
            "the program's input is " + tensor_text(*input) + "." + expects};
  }
  if (meta.num_outputs() < 1) {
    return {Code::kInvalidModelOutput, "the program returns nothing." + expects};
  }
  const auto output = meta.output_tensor_meta(0);
  if (!output.ok()) {
    return {Code::kInvalidModelOutput, "the program's first output is no tensor." + expects};
  }
  if (!is_image(*output) || !(is_planar(*output) || is_interleaved(*output))) {
    return {Code::kInvalidModelOutput,
            "the program's first output is " + tensor_text(*output) + "." + expects};
  }
  const auto output_sizes = output->sizes();
  info.input_height = input_sizes[input_sizes.size() - 2];
  info.input_width = input_sizes[input_sizes.size() - 1];
  info.channels = output_sizes[output_sizes.size() - 3];
  info.output_height = output_sizes[output_sizes.size() - 2];
  info.output_width = output_sizes[output_sizes.size() - 1];
  info.output_layout =
      is_planar(*output) ? LogitsLayout::kPlanar : LogitsLayout::kInterleaved;
  return check_backends(meta, info.backends);
}

// ---- Memory.

struct FreeDelete {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<std::uint8_t[], FreeDelete>;

Buffer make_buffer(std::size_t size) {
  const std::size_t padded = (size + kReadPadding + kAlignment - 1) / kAlignment * kAlignment;
  if (padded < size) return nullptr;
  Buffer buffer(static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, padded)));
  if (buffer) std::memset(buffer.get(), 0, padded);
  return buffer;
}

// ---- The model.

// Programs that live, and with them the pool they were loaded with.
std::mutex programs_mutex;
int programs = 0;

class ExecutorchModel final : public Model {
 public:
  ExecutorchModel() {
    const std::lock_guard lock(programs_mutex);
    ++programs;
  }
  ~ExecutorchModel() override {
    method_.reset();  // while it is still counted
    const std::lock_guard lock(programs_mutex);
    --programs;
  }
  const ModelInfo& info() const override { return info_; }
  float* input() override { return input_; }

  Status load(const std::string& path) {
    ETSEG_RETURN_IF_ERROR(check_file(path));
    const std::string doing = "cannot load '" + path + "'";
    const LoadLines lines;

    auto loader =
        ext::MmapDataLoader::from(path.c_str(), ext::MmapDataLoader::MlockConfig::NoMlock);
    if (!loader.ok()) return {Code::kFileReadFailed, doing + lines.first()};
    loader_.emplace(std::move(*loader));

    // The cheaper verification lets damaged flatbuffers crash the process.
    auto program =
        et::Program::load(&*loader_, et::Program::Verification::InternalConsistency);
    if (!program.ok()) {
      return {Code::kInvalidProgram, "'" + path + "' is not an ExecuTorch program, or a damaged "
                                         "one (" + et::to_string(program.error()) + ")" +
                                         lines.first()};
    }
    program_.emplace(std::move(*program));

    const auto meta = program_->method_meta(kMethod);
    if (!meta.ok()) {
      return {Code::kInvalidProgram, "'" + path + "' has no method '" + kMethod + "'"};
    }
    if (Status status = check_interface(*meta, info_); !status.ok()) {
      return {status.code(), doing + ": " + status.message()};
    }
    ETSEG_RETURN_IF_ERROR(plan_memory(*meta, doing));

    auto method = program_->load_method(kMethod, &*memory_);
    if (!method.ok()) return runtime_error(method.error(), doing, lines);
    method_.emplace(std::move(*method));
    return bind_input(meta->input_tensor_meta(0)->sizes(), doing, lines);
  }

  Result<LogitsView> execute() override {
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
                    "the program returned " + shape_text(sizes) +
                        " where it had announced another shape or type at load");
    }
    return LogitsView{tensor.const_data_ptr<float>(), info_.channels, info_.output_height,
                      info_.output_width, info_.output_layout};
  }

 private:
  Status plan_memory(const et::MethodMeta& meta, const std::string& doing) {
    for (std::size_t i = 0; i < meta.num_memory_planned_buffers(); ++i) {
      const auto size = meta.memory_planned_buffer_size(i);
      if (!size.ok() || *size < 0) {
        return {Code::kInvalidProgram, doing + ": a planned buffer has no valid size"};
      }
      Buffer buffer = make_buffer(static_cast<std::size_t>(*size));
      if (!buffer) {
        return {Code::kOutOfMemory, doing + ": the program plans a buffer of " +
                                        std::to_string(*size) + " bytes"};
      }
      planned_spans_.emplace_back(buffer.get(), static_cast<std::size_t>(*size));
      planned_buffers_.push_back(std::move(buffer));
    }
    planned_.emplace(et::Span<et::Span<std::uint8_t>>(planned_spans_.data(),
                                                      planned_spans_.size()));
    memory_.emplace(&method_allocator_, &*planned_, &temp_allocator_);
    return {};
  }

  // Gives input() a place: the program's own, if it is in its memory plan, else one of ours.
  Status bind_input(et::Span<const std::int32_t> sizes, const std::string& doing,
                    const LoadLines& lines) {
    std::size_t count = 1;
    for (const auto size : sizes) count *= static_cast<std::size_t>(size);
    Buffer buffer = make_buffer(count * sizeof(float));
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
    if (error != et::Error::Ok) return runtime_error(error, doing, lines);

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

  // In order of construction: each stands on the ones above it.
  ModelInfo info_;
  std::optional<ext::MmapDataLoader> loader_;
  std::optional<et::Program> program_;
  ext::MallocMemoryAllocator method_allocator_;
  ext::MallocMemoryAllocator temp_allocator_;
  std::vector<Buffer> planned_buffers_;
  std::vector<et::Span<std::uint8_t>> planned_spans_;
  std::optional<et::HierarchicalAllocator> planned_;
  std::optional<et::MemoryManager> memory_;
  Buffer input_buffer_;
  std::vector<::executorch::aten::SizesType> input_sizes_;
  std::vector<::executorch::aten::DimOrderType> input_dim_order_;
  std::vector<::executorch::aten::StridesType> input_strides_;
  std::optional<::executorch::aten::TensorImpl> input_tensor_;
  std::optional<et::Method> method_;
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

Result<std::unique_ptr<Model>> load_model(const std::string& path) {
  ETSEG_RETURN_IF_ERROR(check_runtime_process());
  start_runtime();
  try {
    auto model = std::make_unique<ExecutorchModel>();
    ETSEG_RETURN_IF_ERROR(model->load(path));
    return std::unique_ptr<Model>(std::move(model));
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, "cannot load '" + path + "': out of memory");
  }
}

const Executor& runtime_executor() {
  static const RuntimeExecutor executor;
  return executor;
}

int thread_count() {
  start_runtime();
  return runtime_executor().concurrency();
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
    return {Code::kInvalidState,
            "the number of threads cannot change while a model is loaded (" +
                std::to_string(programs) + " now); delete() them first, or set it at the start"};
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
