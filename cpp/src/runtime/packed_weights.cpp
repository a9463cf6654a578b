#include "runtime/packed_weights.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "runtime/file_times.h"

namespace etseg {
namespace {

Status cannot_map(int error) {
  return {error == ENOMEM ? Code::kOutOfMemory : Code::kFileReadFailed,
          std::string("cannot map the packed weights: ") + std::strerror(error)};
}

Status damaged() { return {Code::kInvalidProgram, "the packed weights are damaged"}; }

}  // namespace

Result<std::shared_ptr<const PackedWeights>> PackedWeights::map(int descriptor) {
  const int own = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return cannot_map(errno);
  struct stat file = {};
  if (::fstat(own, &file) != 0) {
    const int error = errno;
    ::close(own);
    return cannot_map(error);
  }
  std::shared_ptr<PackedWeights> weights(new PackedWeights(own, file));
  ETSEG_RETURN_IF_ERROR(weights->read());
  return std::shared_ptr<const PackedWeights>(std::move(weights));
}

PackedWeights::PackedWeights(int descriptor, const struct ::stat& file)
    : descriptor_(descriptor), file_(file) {}

PackedWeights::~PackedWeights() {
  if (memory_ != nullptr) ::munmap(memory_, static_cast<std::size_t>(file_.st_size));
  ::close(descriptor_);
}

Status PackedWeights::read() {
  const auto size = static_cast<std::uint64_t>(file_.st_size);
  const auto read_at = [this](std::uint64_t offset, void* to, std::size_t bytes) {
    return ::pread(descriptor_, to, bytes, static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(bytes);
  };
  PackedFooter footer = {};
  if (size < sizeof footer || !read_at(size - sizeof footer, &footer, sizeof footer) ||
      std::memcmp(footer.magic, kPackedMagic, sizeof kPackedMagic) != 0 ||
      footer.file_size != size || footer.entries > size / sizeof(PackedEntry) ||
      footer.unread > size / sizeof(PackedEntry)) {
    return damaged();
  }
  std::vector<PackedEntry> index(footer.entries + footer.unread);
  const std::size_t index_size = packed_index_size(index.size());
  if (index_size > size ||
      !read_at(size - index_size, index.data(), index.size() * sizeof(PackedEntry))) {
    return damaged();
  }
  for (std::size_t i = 0; i < footer.entries; ++i) {
    const PackedEntry& entry = index[i];
    if (entry.offset > size || entry.size > size - entry.offset ||
        entry.offset % kPackedAlignment != 0) {
      return damaged();
    }
    entries_.push_back(entry);
  }
  for (std::size_t i = footer.entries; i < index.size(); ++i) {
    unread_.emplace_back(index[i].offset, index[i].size);
  }
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor_, 0);
  if (memory == MAP_FAILED) return cannot_map(errno);
  memory_ = memory;
  return {};
}

const void* PackedWeights::data(const PackedEntry& entry) const {
  return static_cast<const char*>(memory_) + entry.offset;
}

bool PackedWeights::is_intact() const {
  struct stat now = {};
  return ::fstat(descriptor_, &now) == 0 && is_same_content(file_, now);
}

}  // namespace etseg
