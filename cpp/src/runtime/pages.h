// Zeroed memory straight from the system, in large pages where it grants them: memory that is
// filled once spends most of its time on being handed out page by page.
#pragma once

#include <cstddef>

namespace etseg {

class Pages {
 public:
  explicit Pages(std::size_t size);
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&&) = delete;
  ~Pages();

  // On a cache line, and readable a little past its end; null where there is no memory.
  void* get() const { return start_; }

 private:
  std::size_t mapped_;
  void* base_;
  void* start_ = nullptr;
};

}  // namespace etseg
