#include "runtime/program_file.h"

#include <executorch/runtime/executor/program.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

namespace etseg {
namespace {

namespace et = ::executorch::runtime;

Status cannot_read(const std::string& path, const std::string& why) {
  return {Code::kFileReadFailed, "cannot read the model file '" + path + "': " + why};
}

bool is_before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

#if defined(__APPLE__)
const timespec& written(const struct stat& file) { return file.st_mtimespec; }
#else
const timespec& written(const struct stat& file) { return file.st_mtim; }
#endif

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && !is_before(written(a), written(b)) &&
         !is_before(written(b), written(a));
}

// The system's clock for files ticks every few milliseconds: a file written a moment ago can be
// written once more without another time. Waits for the next tick, from when on a change shows.
void wait_for_the_next_time(const struct stat& file) {
  constexpr timespec kPause = {0, 1'000'000};
  constexpr int kTicks = 20;  // the longest tick is 10 ms; a time in the future is not waited for
  for (int i = 0; i < kTicks; ++i) {
    timespec now = {};
#if defined(CLOCK_REALTIME_COARSE)
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
    ::clock_gettime(CLOCK_REALTIME, &now);
#endif
    if (is_before(written(file), now)) return;
    ::nanosleep(&kPause, nullptr);
  }
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

// In memory that goes back to the system as soon as it is freed, unlike a heap's.
struct ProgramFile::Segment {
  Segment(const ProgramFile& owner, std::size_t bytes) : file(owner), size(bytes) {
    void* const mapped =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return;
    memory = mapped;
#if defined(MADV_HUGEPAGE)
    (void)::madvise(memory, size, MADV_HUGEPAGE);  // where granted, a fifth of the time to read
#endif
  }
  ~Segment() {
    if (memory != nullptr) ::munmap(memory, size);
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const ProgramFile& file;
  const std::size_t size;
  void* memory = nullptr;  // stays so when there is none
  int users = 0;
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

Status ProgramFile::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

et::Result<et::FreeableBuffer> ProgramFile::load(std::size_t offset, std::size_t size,
                                                 const SegmentInfo&) const {
  if (size == 0) return et::FreeableBuffer();
  const std::lock_guard lock(mutex_);
  try {
    Segment* const segment = find_or_read({offset, size});
    if (segment == nullptr) return et::Error::AccessFailed;
    ++segment->users;
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
    return found->second.get();
  }
  auto segment = std::make_unique<Segment>(*this, place.second);
  if (segment->memory == nullptr) throw std::bad_alloc();
  if (!read(place, segment->memory)) return nullptr;
  return segments_.emplace(place, std::move(segment)).first->second.get();
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
  if (::fstat(descriptor_, &now) != 0 || !is_same(opened_, now)) {
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
  std::erase_if(segments_, [](const auto& entry) { return entry.second->users == 0; });
}

}  // namespace etseg
