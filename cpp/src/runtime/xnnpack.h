// What is called of XNNPACK's own interface: the runtime's wheel has no header for it, and is
// pinned to one version (third_party/executorch/pin.json).
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// A kernel and its bias, where the program has them, and how they are to be packed.
struct xnn_weights_cache_look_up_key {
  std::uint32_t seed;
  const void* kernel;
  const void* bias;
};

// Asked for packed weights while a runtime is made, and for where they lie whenever it runs. They
// are known by a number; SIZE_MAX is none.
struct xnn_weights_cache_provider {
  void* context;
  std::size_t (*look_up)(void* context, const xnn_weights_cache_look_up_key* key);
  void* (*reserve_space)(void* context, std::size_t size);
  std::size_t (*look_up_or_insert)(void* context, const xnn_weights_cache_look_up_key* key,
                                   void* packed, std::size_t size);
  bool (*is_finalized)(void* context);
  void* (*offset_to_addr)(void* context, std::size_t number);
  int (*delete_cache)(void* context);
  int (*alias_data)(void* context, const void* data, const void* alias);  // may be null
};

}  // extern "C"
