#include "runtime/program.h"

#include <algorithm>
#include <utility>

#include "etseg/log.h"
#include "runtime/claims.h"
#include "runtime/errors.h"
#include "runtime/method.h"
#include "runtime/openvino_backend.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

constexpr const char* kMetadataMethod = "etseg_metadata";

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

}  // namespace

Status LoadedProgram::load(const std::string& path) {
  Result<std::unique_ptr<ProgramFile>> file = ProgramFile::open(path);
  if (!file.ok()) return file.status();
  file_ = std::move(file).value();

  const LogCapture log;
  // The cheaper verification lets damaged flatbuffers crash the process.
  auto program = et::Program::load(file_.get(), et::Program::Verification::InternalConsistency);
  if (!program.ok()) {
    ETSEG_RETURN_IF_ERROR(file_->failure());
    if (program.error() == et::Error::MemoryAllocationFailed) {
      return {Code::kOutOfMemory, "cannot load '" + path + "': out of memory"};
    }
    return {Code::kInvalidProgram, "'" + path +
                                       "' is not an ExecuTorch program, or a damaged one (" +
                                       et::to_string(program.error()) + ")" + first_line(log)};
  }
  program_.emplace(std::move(*program));
  return read_claims("cannot load '" + path + "'");
}

Status LoadedProgram::keep_constants(const std::string& doing) const {
  const LogCapture log;
  for (const std::string& name : file_->packed_and_read()) {
    if (kept_.contains(name)) continue;
    const auto constants = program_->get_named_data_map();
    if (!constants.ok()) return runtime_error(constants.error(), doing, log);
    auto constant = (*constants)->get_data(name);
    if (constant.error() == et::Error::NotFound) continue;  // the delegate has said so
    if (!constant.ok()) return runtime_error(constant.error(), doing, log);
    kept_.emplace(name, std::move(*constant));
  }
  return {};
}

Status LoadedProgram::read_claims(const std::string& doing) {
  const LogCapture log;
  if (!has_method(*program_, kMethod)) {
    return {Code::kInvalidProgram, doing + ": it has no method '" + kMethod + "'"};
  }
  const auto meta = program_->method_meta(kMethod);
  if (!meta.ok()) return runtime_error(meta.error(), doing, log);
  Result<ModelInfo> info = check_interface(describe(*meta));
  if (!info.ok()) return {info.status().code(), doing + ": " + info.status().message()};
  info_ = std::move(info).value();
  info_.file = file_->identity();
  Result<std::vector<std::string>> backends = usable_backends(*meta);
  if (!backends.ok()) return {backends.status().code(), doing + ": " + backends.status().message()};
  info_.backends = std::move(backends).value();
  // The delegate writes its outputs planar, whatever dimension order the program declares.
  if (std::find(info_.backends.begin(), info_.backends.end(), kOpenvinoBackend) !=
      info_.backends.end()) {
    info_.output_layout = LogitsLayout::kPlanar;
  }
  Result<std::string> metadata = read_metadata(*program_, doing, log);
  if (!metadata.ok()) return metadata.status();
  info_.metadata = std::move(metadata).value();
  return {};
}

}  // namespace etseg
