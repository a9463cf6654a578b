// The packed weights of one instance: where XNNPACK puts them when it is loaded, or finds them.
//
// XNNPACK packs one operator after the other, in an order that the program alone decides. So packed
// weights are told apart by their place in that order, and a constant that two operators use is
// packed for each, as without this. Kernel, bias and the way of packing are compared all the same:
// where they differ from what was recorded, XNNPACK is told to pack. Some operators pack without
// asking first: what they packed is compared, and let go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/packed_weights.h"
#include "runtime/pages.h"
#include "runtime/program_file.h"
#include "runtime/xnnpack.h"

namespace etseg {

// One thread at a time. Must outlive the method that was loaded with it.
class WeightsCache {
 public:
  // What was packed; of the numbers of an entry, its offset is not set.
  struct Made {
    PackedEntry entry;
    const void* data;
    bool was_looked_up;  // else it is packed at each load
  };

  // Takes the weights from `packed`; packs where there are none, or others.
  WeightsCache(const ProgramFile& program, std::shared_ptr<const PackedWeights> packed);
  // Packs, and tells of each as soon as it is done. May throw std::bad_alloc.
  WeightsCache(const ProgramFile& program, std::function<void(const Made&)> tell);
  WeightsCache(const WeightsCache&) = delete;
  WeightsCache& operator=(const WeightsCache&) = delete;

  // While one lives, what is loaded on this thread uses the cache.
  class Loading {
   public:
    explicit Loading(WeightsCache& cache);
    ~Loading();
    Loading(const Loading&) = delete;
    Loading& operator=(const Loading&) = delete;
  };

  // Whether XNNPACK asked for exactly what the packed weights have.
  bool fits() const { return next_ == known_.size() && made_.empty(); }

  // In order.
  const std::vector<Made>& made() const { return made_; }

  // Whether this build can put itself between the runtime and XNNPACK.
  static bool is_possible();

 private:
  WeightsCache(const ProgramFile& program, std::shared_ptr<const PackedWeights> packed,
               std::function<void(const Made&)> tell);
  std::size_t look_up(const xnn_weights_cache_look_up_key& key);
  void* reserve(std::size_t size);
  std::size_t insert(const xnn_weights_cache_look_up_key& key, const void* packed,
                     std::size_t size);
  void* address(std::size_t number) const;
  PackedEntry entry_of(const xnn_weights_cache_look_up_key& key) const;
  bool is_next(const PackedEntry& entry, const void* packed) const;

  const ProgramFile& program_;
  const std::shared_ptr<const PackedWeights> packed_;
  const std::vector<PackedEntry> known_;
  const std::function<void(const Made&)> tell_;
  std::size_t next_ = 0;  // of known_
  std::vector<Made> made_;
  std::vector<Pages> buffers_;
  bool missed_ = false;  // what was looked up last
  bool loading_ = false;
  xnn_weights_cache_provider provider_;
};

}  // namespace etseg
