// The façade of the inference runtime: everything the rest of the core may know about it.
// Implemented in the one folder that includes ExecuTorch, src/runtime/.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "etseg/model.h"
#include "etseg/parallel.h"
#include "etseg/status.h"

namespace etseg {

// Reads the file at `path` and prepares `instances` models of its method "forward". Everything the
// program claims about itself is checked before it is relied on: that it takes one image, and first
// returns scores or labels of its pixels (src/program_interface.h). Once loaded, what becomes of
// the file does not matter; it stays open, for a model whose execute() failed (Model::input()).
//
// The instances share what is read of the file, of which only what is still needed is kept; weights
// that a backend repacks, plans and workspaces are each instance's own. A single instance runs on
// the runtime's pool; of several, each runs on the thread that calls it alone, and they run truly
// in parallel.
//
// kInvalidUserInput unless 1 <= instances <= kMaxInstances;
// kFileReadFailed, kInvalidProgram, kUnexpectedNumInputs, kWrongDimensions, kInvalidModelOutput,
// kOperatorMissing and kNotSupported (both with the missing name), kOutOfMemory, kThreadPoolError,
// kInternal. A failure leaves nothing behind.
//
// A program is code: a file that was made to do harm can crash the process (its delegate trusts
// its own payload). Check a SHA-256 before loading what came from elsewhere.
inline constexpr int kMaxInstances = 256;

// With `packed_weights`, the descriptor of a file that a Packing described for this program
// and number of instances, the instances have their packed weights there: mapped, and in memory
// once for all who map the file. Results are the same, bit for bit. The descriptor stays the
// caller's. Where the weights do not fit the program, the instances pack their own
// (Model::shares_weights()). kInvalidProgram if the file is none.
//
// Its numbers are checked, its weights are trusted: compare a checksum first. Before each execute()
// an instance looks whether the file is still what it was, and else packs its own; the process dies
// (SIGBUS) if it is truncated during one.
Result<std::vector<std::unique_ptr<Model>>> load_models(const std::string& path, int instances,
                                                        int packed_weights = -1);

// The weights of a program as its backend packs them, laid out as a file.
class Packing {
 public:
  struct Part {
    const void* data;
    std::size_t size;  // a multiple of 64
  };
  virtual ~Packing() = default;
  // Once. As load_models(), with its errors, for one instance.
  virtual Status pack() = 0;
  // The next bytes of the file, while pack() runs on another thread or afterwards: waits for them.
  // Null data once there are no more, which means nothing unless pack() has succeeded. None at all
  // where there is nothing to share. They live as long as this.
  virtual Part next() = 0;
  // Of the program, once pack() succeeded.
  virtual const ModelInfo& info() const = 0;
};

// Of one of `instances` that load_models() would make.
std::unique_ptr<Packing> make_packing(const std::string& path, int instances);

// Whether packed weights can be shared by this build: else there is never anything to share.
bool can_share_weights();

// Where OpenVINO's C library (libopenvino_c) lies, for programs that are delegated to OpenVINO;
// empty if it is not installed. It is opened when the first of them is loaded, and stays open: what
// is told after that has no effect. Thread-safe; waits while it is being opened. kThreadPoolError.
Status set_openvino_library(std::string path);

// The parallel primitive for what surrounds a model: the runtime's pool for a single instance, the
// calling thread for one of several. It lives as long as the process.
const Executor& runtime_executor(int instances);

// Calls work() with the runtime's pool where this process has started one, else with the calling
// thread alone. Until it returns, set_thread_count() refuses.
void with_executor(const std::function<void(const Executor&)>& work);

// kThreadPoolError if the runtime's threads belong to a parent process: they did not survive the
// fork, and any use of the pool would wait for them for ever.
Status check_runtime_process();

// Starts the pool: `count` threads, the caller's own included, or as many as the system grants,
// which is logged; brought into 1 .. kMaxThreads. Does nothing where there is a pool. load_models()
// does it for a single instance, with a thread for each CPU that the process may run on.
// kThreadPoolError, kInternal.
inline constexpr int kMaxThreads = 1024;
Status start_threads(int count);

// How many threads the pool has, the caller's own included; 0 before it is started.
int thread_count();

// Replaces the pool, or starts it. kInvalidState while any program is loaded or with_executor()
// runs: they keep using the pool they began with, and it would be gone. kInvalidUserInput unless 1
// <= count <= kMaxThreads, and if the system does not grant so many: then the pool is as it was.
// kThreadPoolError.
Status set_thread_count(int count);

struct RuntimeInfo {
  std::string version;                // of ExecuTorch
  std::string build;                  // of XNNPACK: the SHA-256 of its library
  std::vector<std::string> backends;  // registered delegates
  int operators = 0;                  // registered kernels
};
RuntimeInfo runtime_info();

}  // namespace etseg
