#include "runtime/weights_cache.h"

#include <dlfcn.h>

#include <cstring>
#include <new>
#include <utility>

namespace etseg {
namespace {

constexpr std::size_t kNone = SIZE_MAX;

// Given to the XNNPACK runtimes that are made on this thread.
thread_local xnn_weights_cache_provider* current = nullptr;

}  // namespace

WeightsCache::WeightsCache(const ProgramFile& program, std::shared_ptr<const PackedWeights> packed)
    : WeightsCache(program, std::move(packed), nullptr) {}

WeightsCache::WeightsCache(const ProgramFile& program, std::function<void(const Made&)> tell)
    : WeightsCache(program, nullptr, std::move(tell)) {}

WeightsCache::WeightsCache(const ProgramFile& program, std::shared_ptr<const PackedWeights> packed,
                           std::function<void(const Made&)> tell)
    : program_(program),
      packed_(std::move(packed)),
      known_(packed_ ? packed_->entries() : std::vector<PackedEntry>()),
      tell_(std::move(tell)) {
  using Key = xnn_weights_cache_look_up_key;
  static constexpr auto self = [](void* context) -> WeightsCache& {
    return *static_cast<WeightsCache*>(context);
  };
  provider_.context = this;
  provider_.look_up = [](void* context, const Key* key) { return self(context).look_up(*key); };
  provider_.reserve_space = [](void* context, std::size_t size) {
    return self(context).reserve(size);
  };
  provider_.look_up_or_insert = [](void* context, const Key* key, void* data, std::size_t size) {
    return self(context).insert(*key, data, size);
  };
  provider_.is_finalized = [](void* context) { return !self(context).loading_; };
  provider_.offset_to_addr = [](void* context, std::size_t number) {
    return self(context).address(number);
  };
  provider_.delete_cache = [](void*) { return 0; };
  provider_.alias_data = nullptr;
}

WeightsCache::Loading::Loading(WeightsCache& cache) {
  cache.loading_ = true;
  current = &cache.provider_;
}

WeightsCache::Loading::~Loading() {
  static_cast<WeightsCache*>(current->context)->loading_ = false;
  current = nullptr;
}

PackedEntry WeightsCache::entry_of(const xnn_weights_cache_look_up_key& key) const {
  return {key.seed, program_.place_of(key.kernel), program_.place_of(key.bias), 0, 0};
}

std::size_t WeightsCache::look_up(const xnn_weights_cache_look_up_key& key) {
  missed_ = next_ == known_.size() || !known_[next_].is_for(entry_of(key));
  return missed_ ? kNone : next_++;
}

void* WeightsCache::reserve(std::size_t size) {
  Pages pages(size);
  if (pages.get() == nullptr) return nullptr;
  try {
    buffers_.push_back(std::move(pages));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return buffers_.back().get();
}

std::size_t WeightsCache::insert(const xnn_weights_cache_look_up_key& key, const void* packed,
                                 std::size_t size) {
  PackedEntry entry = entry_of(key);
  if (packed == nullptr) {  // nothing was packed: it was found just now
    return next_ > 0 && known_[next_ - 1].is_for(entry) ? next_ - 1 : kNone;
  }
  entry.size = size;
  const bool was_looked_up = std::exchange(missed_, false);
  if (!was_looked_up && is_next(entry, packed)) {
    if (!buffers_.empty() && buffers_.back().get() == packed) buffers_.pop_back();
    return next_++;
  }
  try {
    made_.push_back({entry, packed, was_looked_up});
    if (tell_) tell_(made_.back());
  } catch (const std::bad_alloc&) {
    return kNone;
  }
  return known_.size() + made_.size() - 1;
}

bool WeightsCache::is_next(const PackedEntry& entry, const void* packed) const {
  return next_ < known_.size() && known_[next_].is_for(entry) && known_[next_].size == entry.size &&
         std::memcmp(packed_->data(known_[next_]), packed, entry.size) == 0;
}

void* WeightsCache::address(std::size_t number) const {
  const void* const data =
      number < known_.size() ? packed_->data(known_[number]) : made_[number - known_.size()].data;
  return const_cast<void*>(data);  // XNNPACK only reads what is packed
}

}  // namespace etseg

#if defined(__APPLE__)

bool etseg::WeightsCache::is_possible() { return false; }

#else

// Called by the delegate in place of XNNPACK's own, to which it goes on: the loader looks here
// first (bindings/exports.map). XNNPACK calls it too, for what it computes while it makes a
// runtime; that has no weights of the program.
extern "C" {
using CreateRuntime = int(void* subgraph, xnn_weights_cache_provider* cache, void* workspace,
                          void* pool, std::uint32_t flags, void** runtime);
__attribute__((visibility("default"))) CreateRuntime xnn_create_runtime_v4;

int xnn_create_runtime_v4(void* subgraph, xnn_weights_cache_provider* cache, void* workspace,
                          void* pool, std::uint32_t flags, void** runtime) {
  static auto* const next =
      reinterpret_cast<CreateRuntime*>(::dlsym(RTLD_NEXT, "xnn_create_runtime_v4.etseg"));
  if (next == nullptr) return 4;  // xnn_status_unsupported_hardware: there is no XNNPACK
  xnn_weights_cache_provider* const ours = std::exchange(etseg::current, nullptr);
  const int status =
      next(subgraph, cache == nullptr ? ours : cache, workspace, pool, flags, runtime);
  etseg::current = ours;
  return status;
}
}  // extern "C"

bool etseg::WeightsCache::is_possible() {
  return ::dlsym(RTLD_NEXT, "xnn_create_runtime_v4.etseg") != nullptr;
}

#endif
