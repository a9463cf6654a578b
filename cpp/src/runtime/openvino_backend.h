// The delegate for programs that were lowered with executorch's OpenVINO partitioner.
#pragma once

#include <executorch/runtime/backend/interface.h>

#include <string>

namespace etseg {

inline constexpr const char* kOpenvinoBackend = "OpenvinoBackend";

// executorch has a delegate of its own. This one also is told where the library is, gives it as
// many threads as the rest of the program has, computes in float32 unless the program says
// otherwise, and says why something failed.
class OpenvinoBackend final : public ::executorch::runtime::BackendInterface {
 public:
  // May open the library.
  bool is_available() const override;

  ::executorch::runtime::Result<::executorch::runtime::DelegateHandle*> init(
      ::executorch::runtime::BackendInitContext& context,
      ::executorch::runtime::FreeableBuffer* processed,
      ::executorch::runtime::ArrayRef<::executorch::runtime::CompileSpec> specs) const override;

  ::executorch::runtime::Error execute(
      ::executorch::runtime::BackendExecutionContext& context,
      ::executorch::runtime::DelegateHandle* handle,
      ::executorch::runtime::Span<::executorch::runtime::EValue*> args) const override;

  void destroy(::executorch::runtime::DelegateHandle* handle) const override;
};

// Once, before any program is loaded.
void register_openvino();

}  // namespace etseg
