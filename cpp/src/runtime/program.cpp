#include "runtime/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "etseg/log.h"
#include "runtime/claims.h"
#include "runtime/errors.h"
#include "runtime/method.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;
using ::executorch::extension::MmapDataLoader;

constexpr const char* kMetadataMethod = "etseg_metadata";

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
  ETSEG_RETURN_IF_ERROR(check_file(path));
  const std::string doing = "cannot load '" + path + "'";
  const LogCapture log;

  auto loader = MmapDataLoader::from(path.c_str(), MmapDataLoader::MlockConfig::NoMlock);
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
  return read_claims(doing);
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
  Result<std::vector<std::string>> backends = usable_backends(*meta);
  if (!backends.ok()) return {backends.status().code(), doing + ": " + backends.status().message()};
  info_.backends = std::move(backends).value();
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

}  // namespace etseg
