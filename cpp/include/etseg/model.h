// Stage 2: a loaded program. The only implementation that ships is ExecuTorch's
// (src/runtime/); tests substitute a fake. A model knows nothing of images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "etseg/image.h"
#include "etseg/status.h"

namespace etseg {

// Of a file, as it was when it was opened.
struct FileIdentity {
  std::int64_t device = 0;
  std::int64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t written = 0;  // the times in nanoseconds
  std::int64_t changed = 0;
};

struct ModelInfo {
  std::int64_t input_height = 0;
  std::int64_t input_width = 0;
  InputFormat input_format;
  std::int64_t channels = 0;  // of the output's scores; 0 where the program returns labels
  std::int64_t output_height = 0;
  std::int64_t output_width = 0;
  LogitsLayout output_layout = LogitsLayout::kPlanar;
  std::vector<std::string> backends;  // delegates that the program uses, in its order
  std::string metadata;               // what the program says about itself (JSON); empty if nothing
  FileIdentity file;                  // of the program
};

using ModelOutput = std::variant<LogitsView, LabelMapView>;

// One instance of a program, with its own memory plan. One call at a time.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;

  // Whether its packed weights are the mapped ones that it was loaded with.
  virtual bool shares_weights() const { return false; }

  // The program's input memory: an image of input_height * input_width pixels in the input_format.
  // To be asked for before each execute(), after which what it holds is undefined. An error is
  // possible only after an execute() that failed: the instance is made anew here (kOutOfMemory,
  // kFileReadFailed if the program's file has changed meanwhile), and it may be asked for again.
  virtual Result<void*> input() = 0;

  // Runs the program on what input() holds. The output lies in the model's own memory, is
  // read-only, and is valid until the next execute() or the destructor. It is logits if the info
  // has channels, else a label map. kOutOfMemory, kInternal, kInvalidModelOutput.
  virtual Result<ModelOutput> execute() = 0;
};

}  // namespace etseg
