// A method of a program, with the memory it needs.
#pragma once

#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/backend/backend_options_map.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aligned_buffer.h"
#include "etseg/log.h"
#include "etseg/status.h"

namespace etseg {

class LoadedMethod {
 public:
  // The program, and what `options` points to, must outlive the method.
  Status load(const ::executorch::runtime::Program& program, const char* name,
              const std::string& doing, const LogCapture& log,
              const ::executorch::runtime::LoadBackendOptionsMap* options = nullptr);

  // Only once load() succeeded.
  ::executorch::runtime::Method* operator->() { return &*method_; }

 private:
  // In order of construction: each stands on the ones above it.
  ::executorch::extension::MallocMemoryAllocator method_allocator_;
  ::executorch::extension::MallocMemoryAllocator temp_allocator_;
  std::vector<AlignedBuffer> buffers_;
  std::vector<::executorch::runtime::Span<std::uint8_t>> spans_;
  std::optional<::executorch::runtime::HierarchicalAllocator> planned_;
  std::optional<::executorch::runtime::MemoryManager> memory_;
  std::optional<::executorch::runtime::Method> method_;
};

// Asked first: the runtime logs an error for a method that is not there.
bool has_method(const ::executorch::runtime::Program& program, const std::string& name);

}  // namespace etseg
