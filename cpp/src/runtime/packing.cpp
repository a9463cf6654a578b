#include "runtime/packing.h"

#include <cstring>
#include <memory>
#include <new>

#include "runtime/load_models.h"
#include "runtime/packed_weights.h"
#include "runtime/pool.h"

namespace etseg {
namespace {

std::size_t aligned(std::size_t size) {
  return (size + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
}

// Read past the end, as kernels do.
constexpr char kMargin[2 * kPackedAlignment] = {};

// The segments that were let go, and of which nobody has read but the packing that is saved: they
// begin with a kernel or bias, always of operators that look for packed weights first.
std::vector<PackedEntry> unread_segments(const ProgramFile& file,
                                         const std::vector<WeightsCache::Made>& made) {
  std::vector<PackedEntry> unread;
  for (const auto& [offset, size] : file.unused()) {
    if (size <= kAlwaysKept) continue;  // somebody may read it yet
    bool saved = false, read = false;
    for (const WeightsCache::Made& one : made) {
      if (one.entry.kernel != offset && one.entry.bias != offset) continue;
      (one.was_looked_up ? saved : read) = true;
    }
    if (saved && !read) unread.push_back({0, kNowhere, kNowhere, offset, size});
  }
  return unread;
}

}  // namespace

Status ProgramPacking::pack() {
  const End end(*this);  // however this ends: next() waits for it
  try {
    Status status = load();
    if (status.ok() && !entries_.empty()) add_index();
    return status;
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "cannot pack '" + path_ + "': out of memory"};
  }
}

ProgramPacking::End::~End() {
  const std::lock_guard lock(packing_.mutex_);
  packing_.ended_ = true;
  packing_.changed_.notify_all();
}

Status ProgramPacking::load() {
  ETSEG_RETURN_IF_ERROR(prepare_runtime(instances_));
  ETSEG_RETURN_IF_ERROR(program_.load(path_));
  const Threads threads = threads_of(instances_);
  const WithoutPool without_pool(threads == Threads::kCaller);
  const ProgramFile::KeepSegments keep(program_.file());
  auto cache = std::make_unique<WeightsCache>(
      program_.file(), [this](const WeightsCache::Made& made) { add(made); });
  ETSEG_RETURN_IF_ERROR(
      instance_.load(program_, threads, "cannot load '" + path_ + "'", std::move(cache)));
  unread_ = unread_segments(program_.file(), instance_.weights().made());
  return {};
}

void ProgramPacking::add(const WeightsCache::Made& made) {
  entries_.push_back(made.entry);
  entries_.back().offset = written_;
  put({made.data, aligned(made.entry.size)});  // zeros, in the buffer too
}

void ProgramPacking::add_index() {
  put({kMargin, sizeof kMargin});
  const std::size_t count = entries_.size() + unread_.size();
  index_.resize(packed_index_size(count));
  PackedFooter footer = {written_ + index_.size(), entries_.size(), unread_.size(), {}};
  std::memcpy(footer.magic, kPackedMagic, sizeof kPackedMagic);
  entries_.insert(entries_.end(), unread_.begin(), unread_.end());
  std::memcpy(index_.data(), entries_.data(), count * sizeof(PackedEntry));
  std::memcpy(index_.data() + index_.size() - sizeof footer, &footer, sizeof footer);
  put({index_.data(), index_.size()});
}

void ProgramPacking::put(Part part) {
  const std::lock_guard lock(mutex_);
  ready_.push_back(part);
  written_ += part.size;
  changed_.notify_all();
}

Packing::Part ProgramPacking::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
  if (ready_.empty()) return {nullptr, 0};
  const Part part = ready_.front();
  ready_.pop_front();
  return part;
}

}  // namespace etseg
