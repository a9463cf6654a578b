#include "runtime/method.h"

#include <utility>

#include "runtime/errors.h"

namespace etseg {

namespace et = ::executorch::runtime;

Status LoadedMethod::load(const et::Program& program, const char* name, const std::string& doing,
                          const LogCapture& log, const et::LoadBackendOptionsMap* options) {
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

bool has_method(const et::Program& program, const std::string& name) {
  for (std::size_t i = 0; i < program.num_methods(); ++i) {
    const auto found = program.get_method_name(i);
    if (found.ok() && *found == name) return true;
  }
  return false;
}

}  // namespace etseg
