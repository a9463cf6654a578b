// The one parallel primitive of the core. Kernels are given an Executor and know nothing about
// pools; in production it is the runtime's own pool (one pool in the process), in tests it is
// std::thread or nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace etseg {

// A non-owning reference to a callable `void(int64_t begin, int64_t end)`; valid as long as the
// callable is. std::function would allocate.
class RangeBody {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, RangeBody>>>
  RangeBody(F&& callable)  // NOLINT: implicit by design, as a function argument
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}

  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t);
};

class Executor {
 public:
  virtual ~Executor() = default;

  // How many chunks can run at the same time, >= 1.
  virtual int concurrency() const = 0;

  // Calls body over disjoint ranges that cover [begin, end), each at least `grain` long but for the
  // last; returns when all are done. The body must not throw and must not call run() itself. What
  // it computes must not depend on how the range is cut.
  virtual void run(std::int64_t begin, std::int64_t end, std::int64_t grain,
                   RangeBody body) const = 0;
};

// Runs the whole range on the calling thread.
class SerialExecutor final : public Executor {
 public:
  int concurrency() const override { return 1; }
  void run(std::int64_t begin, std::int64_t end, std::int64_t /*grain*/,
           RangeBody body) const override {
    if (begin < end) body(begin, end);
  }
};

}  // namespace etseg
