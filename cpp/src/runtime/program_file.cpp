#include "runtime/program_file.h"

#include <executorch/runtime/executor/program.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "runtime/file_times.h"
#include "runtime/packed_weights.h"
#include "xnnpack_graph.h"

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

Status cannot_read(const std::string& path, const std::string& why) {
  return {Code::kFileReadFailed, "cannot read the model file '" + path + "': " + why};
}

}  // namespace

Result<std::unique_ptr<ProgramFile>> ProgramFile::open(const std::string& path) {
  // A FIFO would wait for somebody who writes.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return cannot_read(path, std::strerror(errno));
  struct stat opened = {};
  const int found = ::fstat(descriptor, &opened);
  const int error = errno;
  std::unique_ptr<ProgramFile> file(new ProgramFile(descriptor, path, opened));
  if (found != 0) return cannot_read(path, std::strerror(error));
  if (!S_ISREG(opened.st_mode)) return cannot_read(path, "not a regular file");
  if (opened.st_size < static_cast<off_t>(et::Program::kMinHeadBytes)) {
    return Status(Code::kInvalidProgram, "'" + path +
                                             "' is not an ExecuTorch program: it has only " +
                                             std::to_string(opened.st_size) + " bytes");
  }
  wait_for_the_next_time(opened);
  return file;
}

// In memory that goes back to the system as soon as it is freed, unlike a heap's; or the file's own
// pages.
struct ProgramFile::Segment {
  Segment(const ProgramFile& owner, std::size_t bytes)
      : file(owner), is_mapped(false), start(0), size(bytes) {
    map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#if defined(MADV_HUGEPAGE)
    // Where granted, a fifth of the time to read.
    if (memory != nullptr) (void)::madvise(memory, size, MADV_HUGEPAGE);
#endif
  }
  Segment(const ProgramFile& owner, Place place, int descriptor)
      : file(owner),
        is_mapped(true),
        start(place.first % static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
        size(place.second) {
    map(start + size, PROT_READ, MAP_PRIVATE, descriptor, static_cast<off_t>(place.first - start));
  }
  ~Segment() {
    if (memory != nullptr) ::munmap(static_cast<char*>(memory) - start, start + size);
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  void map(std::size_t bytes, int protection, int flags, int descriptor, off_t offset) {
    void* const mapped = ::mmap(nullptr, bytes, protection, flags, descriptor, offset);
    if (mapped != MAP_FAILED) memory = static_cast<char*>(mapped) + start;
  }

  const ProgramFile& file;
  const bool is_mapped;
  const std::size_t start;  // of the memory in its first page
  const std::size_t size;
  void* memory = nullptr;  // stays so when there is none
  int users = 0;
  bool is_kept = false;  // as long as the program
};

ProgramFile::ProgramFile(int descriptor, std::string path, const struct ::stat& opened)
    : descriptor_(descriptor), path_(std::move(path)), opened_(opened) {}

ProgramFile::~ProgramFile() { ::close(descriptor_); }

ProgramFile::KeepSegments::KeepSegments(const ProgramFile& file) : file_(file) {
  const std::lock_guard lock(file_.mutex_);
  ++file_.keepers_;
}

ProgramFile::KeepSegments::~KeepSegments() {
  const std::lock_guard lock(file_.mutex_);
  --file_.keepers_;
  file_.free_unused();
}

ProgramFile::MapUnread::MapUnread(const ProgramFile& file, const Places& places) : file_(file) {
  const std::lock_guard lock(file_.mutex_);
  file_.unread_ = &places;
}

ProgramFile::MapUnread::~MapUnread() {
  const std::lock_guard lock(file_.mutex_);
  file_.unread_ = nullptr;
}

bool ProgramFile::MapUnread::were_let_go() const {
  const std::lock_guard lock(file_.mutex_);
  struct stat now = {};
  return ::fstat(file_.descriptor_, &now) == 0 && is_same_content(file_.opened_, now) &&
         std::none_of(file_.segments_.begin(), file_.segments_.end(), [&](const auto& entry) {
           return entry.second->users > 0 && file_.is_unread(entry.first);
         });
}

std::uint64_t ProgramFile::place_of(const void* memory) const {
  const std::lock_guard lock(mutex_);
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  for (const auto& [place, segment] : segments_) {
    const auto start = reinterpret_cast<std::uintptr_t>(segment->memory);
    if (address >= start && address - start < place.second) return place.first + address - start;
  }
  return kNowhere;
}

ProgramFile::MapUnread::Places ProgramFile::unused() const {
  const std::lock_guard lock(mutex_);
  MapUnread::Places places;
  for (const auto& [place, segment] : segments_) {
    if (segment->users == 0) places.push_back(place);
  }
  return places;
}

std::vector<std::string> ProgramFile::packed_and_read() const {
  const std::lock_guard lock(mutex_);
  return packed_and_read_;
}

FileIdentity ProgramFile::identity() const { return identity_of(opened_); }

Status ProgramFile::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

et::Result<et::FreeableBuffer> ProgramFile::load(std::size_t offset, std::size_t size,
                                                 const SegmentInfo& info) const {
  if (size == 0) return et::FreeableBuffer();
  const std::lock_guard lock(mutex_);
  try {
    Segment* const segment = find_or_read({offset, size});
    if (segment == nullptr) return et::Error::AccessFailed;
    const bool may_have_graphs = info.segment_type == SegmentInfo::Type::Backend ||
                                 info.segment_type == SegmentInfo::Type::Program;
    if (may_have_graphs && segment->users == 0) {
      PackedAndRead found = constants_packed_and_read(segment->memory, size);
      segment->is_kept = found.nameless;
      for (std::string& name : found.names) packed_and_read_.push_back(std::move(name));
    }
    ++segment->users;
    if (info.segment_type == SegmentInfo::Type::Constant && size <= kAlwaysKept) {
      segment->is_kept = true;
    }
    return et::FreeableBuffer(segment->memory, size, release, segment);
  } catch (const std::bad_alloc&) {
    return et::Error::MemoryAllocationFailed;
  }
}

et::Error ProgramFile::load_into(std::size_t offset, std::size_t size, const SegmentInfo&,
                                 void* buffer) const {
  const std::lock_guard lock(mutex_);
  try {
    return read({offset, size}, buffer) ? et::Error::Ok : et::Error::AccessFailed;
  } catch (const std::bad_alloc&) {
    return et::Error::MemoryAllocationFailed;
  }
}

et::Result<std::size_t> ProgramFile::size() const {
  return static_cast<std::size_t>(opened_.st_size);
}

void ProgramFile::release(void* context, void*, std::size_t) {
  auto* const segment = static_cast<Segment*>(context);
  const ProgramFile& file = segment->file;
  const std::lock_guard lock(file.mutex_);
  if (--segment->users == 0) file.free_unused();
}

ProgramFile::Segment* ProgramFile::find_or_read(Place place) const {
  if (const auto found = segments_.find(place); found != segments_.end()) {
    if (!found->second->is_mapped || is_unread(place)) return found->second.get();
    if (found->second->users > 0) return nullptr;
    segments_.erase(found);  // left by a load that did not need it
  }
  std::unique_ptr<Segment> segment;
  if (is_unread(place)) {
    segment = std::make_unique<Segment>(*this, place, descriptor_);
    if (segment->memory == nullptr) throw std::bad_alloc();
  } else {
    segment = std::make_unique<Segment>(*this, place.second);
    if (segment->memory == nullptr) throw std::bad_alloc();
    if (!read(place, segment->memory)) return nullptr;
  }
  return segments_.emplace(place, std::move(segment)).first->second.get();
}

bool ProgramFile::is_unread(Place place) const {
  return unread_ != nullptr && std::find(unread_->begin(), unread_->end(), place) != unread_->end();
}

bool ProgramFile::read(Place place, void* buffer) const {
  const auto [offset, size] = place;
  failure_ = {};
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(buffer) + done, size - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      failure_ = cannot_read(path_, std::strerror(errno));
      return false;
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  struct stat now = {};
  if (::fstat(descriptor_, &now) != 0 || !is_same_content(opened_, now)) {
    failure_ = cannot_read(path_, "it was changed after it was opened; load the model again");
    return false;
  }
  if (done < size) {
    failure_ = {Code::kInvalidProgram,
                "'" + path_ + "' is a damaged program: it is shorter than it says"};
    return false;
  }
  return true;
}

void ProgramFile::free_unused() const {
  if (keepers_ > 0) return;
  std::erase_if(segments_, [](const auto& entry) {
    return entry.second->users == 0 && !entry.second->is_kept;
  });
}

}  // namespace etseg
