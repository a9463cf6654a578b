#include "etseg/postprocess.h"

#include <optional>

#include "kernels/isa.h"
#include "postprocess_runner.h"

namespace etseg {
struct Postprocessor::Impl {
  Activation activation;
  std::optional<PostprocessRunner> runner;  // from the first call on
};

Postprocessor::Postprocessor(Activation activation) : impl_(new Impl{activation, std::nullopt}) {}
Postprocessor::~Postprocessor() = default;
Postprocessor::Postprocessor(Postprocessor&&) noexcept = default;
Postprocessor& Postprocessor::operator=(Postprocessor&&) noexcept = default;

Status Postprocessor::run(const LogitsView& logits, const PostprocessTarget& target,
                          const Executor& executor) {
  if (!impl_->runner.has_value()) {
    const Result<Isa>& isa = active_isa();
    if (!isa.ok()) return isa.status();
    impl_->runner.emplace(impl_->activation, isa.value());
  }
  return impl_->runner->run(logits, target, executor);
}

}  // namespace etseg
