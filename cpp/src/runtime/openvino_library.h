// OpenVINO's C library, opened when a program that is delegated to it is loaded. Nothing of it is
// known when this is built: its functions are looked up by name, and its headers are not needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "etseg/status.h"

namespace etseg::openvino {

// As its C API declares them. Every function returns 0, or what its last error message explains.
struct Core;
struct Model;
struct Request;
struct Port;
struct Tensor;
struct Shape {
  std::int64_t rank = 0;
  std::int64_t* sides = nullptr;
};
struct Version {
  const char* build = nullptr;
  const char* description = nullptr;
};
using Failure = int;
using ElementType = int;  // numbered anew by some versions: only handed from one call to another

struct Functions {
  const char* (*last_error)();
  Failure (*version)(Version*);
  void (*free_version)(Version*);
  Failure (*create_core)(Core**);
  Failure (*set_property)(const Core*, const char* device, ...);  // then a key, and its value
  Failure (*import_model)(const Core*, const char* content, std::size_t size, const char* device,
                          Model**);
  void (*free_model)(Model*);
  Failure (*count_inputs)(const Model*, std::size_t*);
  Failure (*count_outputs)(const Model*, std::size_t*);
  Failure (*input)(const Model*, std::size_t index, Port**);
  Failure (*output)(const Model*, std::size_t index, Port**);
  Failure (*element_type)(const Port*, ElementType*);
  Failure (*shape)(const Port*, Shape*);
  Failure (*free_shape)(Shape*);
  void (*free_port)(Port*);
  Failure (*create_request)(const Model*, Request**);
  void (*free_request)(Request*);
  Failure (*wrap)(ElementType, Shape, void* memory, Tensor**);
  Failure (*bytes)(const Tensor*, std::size_t*);
  void (*free_tensor)(Tensor*);
  Failure (*set_input)(Request*, std::size_t index, const Tensor*);
  Failure (*set_output)(Request*, std::size_t index, const Tensor*);
  Failure (*infer)(Request*);
};

// Open until the process ends: its threads would not survive that it is closed.
struct Library {
  Functions call = {};
  Core* core = nullptr;
  std::string version;  // as it says itself
};

// The library, opened by the first call that can: from the place that set_openvino_library() was
// last told of. Thread-safe. kNotSupported with the reason, and what to do.
Result<const Library*> library();

// "; OpenVINO 2026.4 says: ..." with the last error of this thread.
std::string last_words(const Library& library);

}  // namespace etseg::openvino
