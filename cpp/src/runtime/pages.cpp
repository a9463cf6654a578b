#include "runtime/pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

namespace etseg {
namespace {

constexpr std::size_t kReadPadding = 128;  // XNNPACK's kernels may read that far past the end
constexpr std::size_t kLarge = std::size_t{2} << 20;

}  // namespace

Pages::Pages(std::size_t size) : mapped_(size + kReadPadding + kLarge) {
  if (mapped_ < size) {
    base_ = MAP_FAILED;
    return;
  }
  // More than is needed: a large page has an address of its own size. What is not touched is none.
  base_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base_ == MAP_FAILED) return;
  const auto base = reinterpret_cast<std::uintptr_t>(base_);
  start_ = static_cast<char*>(base_) + ((base + kLarge - 1) / kLarge * kLarge - base);
#ifdef MADV_HUGEPAGE
  // Only where it is full: the rest of a large page would be memory that nobody uses.
  if (size >= kLarge) (void)::madvise(start_, size / kLarge * kLarge, MADV_HUGEPAGE);
#endif
}

Pages::Pages(Pages&& other) noexcept
    : mapped_(other.mapped_),
      base_(std::exchange(other.base_, MAP_FAILED)),
      start_(std::exchange(other.start_, nullptr)) {}

Pages::~Pages() {
  if (base_ != MAP_FAILED) ::munmap(base_, mapped_);
}

}  // namespace etseg
