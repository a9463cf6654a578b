#include "runtime/packing.h"

#include <cstring>

#include "runtime/pool.h"
#include "runtime/weights_cache.h"

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

Status ProgramPacking::load(const std::string& path, Threads threads) {
  ETSEG_RETURN_IF_ERROR(program_.load(path));
  const WithoutPool without_pool(threads == Threads::kCaller);
  const ProgramFile::KeepSegments keep(program_.file());
  ETSEG_RETURN_IF_ERROR(instance_.load(program_, threads, "cannot load '" + path + "'",
                                       std::make_unique<WeightsCache>(program_.file(), nullptr)));
  lay_out();
  return {};
}

void ProgramPacking::lay_out() {
  const std::vector<WeightsCache::Made>& made = instance_.weights().made();
  if (made.empty()) return;
  std::vector<PackedEntry> entries;
  for (const WeightsCache::Made& one : made) entries.push_back(one.entry);
  const std::vector<PackedEntry> unread = unread_segments(program_.file(), made);

  PackedHeader header = {};
  std::memcpy(header.magic, kPackedMagic, sizeof kPackedMagic);
  header.entries = entries.size();
  header.unread = unread.size();
  const std::size_t bytes = (entries.size() + unread.size()) * sizeof(PackedEntry);
  index_.resize(aligned(sizeof header + bytes));

  std::size_t offset = index_.size();
  parts_.push_back({index_.data(), index_.size()});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].offset = offset;
    const std::size_t size = aligned(entries[i].size);  // zeros, in the buffer too
    parts_.push_back({made[i].data, size});
    offset += size;
  }
  parts_.push_back({kMargin, sizeof kMargin});
  header.file_size = offset + sizeof kMargin;

  char* at = index_.data();
  const auto put = [&](const void* from, std::size_t size) {
    if (size > 0) std::memcpy(at, from, size);
    at += size;
  };
  put(&header, sizeof header);
  put(entries.data(), entries.size() * sizeof(PackedEntry));
  put(unread.data(), unread.size() * sizeof(PackedEntry));
}

}  // namespace etseg
