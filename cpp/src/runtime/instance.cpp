// ExecuTorch aborts the process on a wrong tag, type or rank (EValue::toTensor, Result::get), so
// everything is asked for before it is used.
#include "runtime/instance.h"

#include <executorch/runtime/backend/backend_options_map.h>

#include <utility>

#include "program_interface.h"
#include "runtime/errors.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;
using ::executorch::aten::ScalarType;

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

LabelMapView::Type label_type(ScalarType type) {
  switch (type) {
    case ScalarType::Byte:
      return LabelMapView::Type::kUint8;
    case ScalarType::Int:
      return LabelMapView::Type::kInt32;
    default:
      return LabelMapView::Type::kInt64;
  }
}

}  // namespace

Status LoadedInstance::load(const LoadedProgram& program, Threads threads,
                            const std::string& doing) {
  const LogCapture log;
  const ProgramFile::KeepSegments keep(program.file());
  const et::LoadBackendOptionsMap* const options =
      threads == Threads::kCaller ? &OwnWorkspace::options() : nullptr;
  if (Status status = method_.load(*program, kMethod, doing, log, options); !status.ok()) {
    ETSEG_RETURN_IF_ERROR(program.file().failure());  // the runtime does not say why
    return status;
  }
  ETSEG_RETURN_IF_ERROR(program.keep_constants(doing));
  const auto meta = (*program).method_meta(kMethod);
  if (!meta.ok()) return runtime_error(meta.error(), doing, log);
  ETSEG_RETURN_IF_ERROR(bind_input(*meta->input_tensor_meta(0), doing, log));
  return bind_outputs(doing, log);
}

Status LoadedInstance::load(const LoadedProgram& program, Threads threads, const std::string& doing,
                            std::unique_ptr<WeightsCache> weights) {
  weights_ = std::move(weights);
  const WeightsCache::Loading loading(*weights_);
  return load(program, threads, doing);
}

Result<ModelOutput> LoadedInstance::execute(const ModelInfo& info) {
  const LogCapture log;
  if (const et::Error error = method_->execute(); error != et::Error::Ok) {
    return execution_error(error, log);
  }
  const et::EValue& value = method_->get_output(0);
  if (!value.isTensor()) return Status(Code::kInvalidModelOutput, "the output is no tensor");
  const auto& tensor = value.toTensor();
  // A program may shrink its output at run time; what was checked at load is an upper bound.
  const auto sizes = tensor.sizes();
  const std::size_t rank = sizes.size();
  const bool as_announced =
      rank >= 2 && sizes[rank - 2] == info.output_height && sizes[rank - 1] == info.output_width &&
      (info.channels == 0 || (rank >= 3 && sizes[rank - 3] == info.channels)) &&
      (tensor.scalar_type() == ScalarType::Float) == (info.channels > 0) &&
      tensor.const_data_ptr() != nullptr;
  if (!as_announced) {
    return Status(Code::kInvalidModelOutput,
                  "the program returned " + shape_text({sizes.begin(), sizes.end()}) +
                      " where it had announced another shape or type at load");
  }
  if (info.channels == 0) {
    return ModelOutput(LabelMapView{tensor.const_data_ptr(), label_type(tensor.scalar_type()),
                                    info.output_height, info.output_width});
  }
  return ModelOutput(LogitsView{tensor.const_data_ptr<float>(), info.channels, info.output_height,
                                info.output_width, info.output_layout});
}

// Gives input() a place: the program's own, if it is in its memory plan, else one of ours.
Status LoadedInstance::bind_input(const et::TensorInfo& info, const std::string& doing,
                                  const LogCapture& log) {
  AlignedBuffer buffer = make_aligned_buffer(info.nbytes());
  if (!buffer) return {Code::kOutOfMemory, doing + ": no memory for the input"};

  const auto sizes = info.sizes();
  input_sizes_.assign(sizes.begin(), sizes.end());
  input_dim_order_.assign(info.dim_order().begin(), info.dim_order().end());
  input_strides_.assign(sizes.size(), 1);
  for (std::size_t i = sizes.size() - 1; i > 0; --i) {
    const std::size_t inner = input_dim_order_[i];
    input_strides_[input_dim_order_[i - 1]] = input_strides_[inner] * input_sizes_[inner];
  }
  input_tensor_.emplace(info.scalar_type(), static_cast<ssize_t>(sizes.size()), input_sizes_.data(),
                        buffer.get(), input_dim_order_.data(), input_strides_.data());
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
  if (tensor.nbytes() != info.nbytes() || !tensor.const_data_ptr()) {
    return {Code::kWrongDimensions, doing + ": the input has no memory of the announced size"};
  }
  input_ = tensor.mutable_data_ptr();
  if (input_ == buffer.get()) input_buffer_ = std::move(buffer);
  return {};
}

// Gives memory to the outputs that have none in the plan: the program would write to null.
Status LoadedInstance::bind_outputs(const std::string& doing, const LogCapture& log) {
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

}  // namespace etseg
