// The bytes of a program file: read where they are asked for, never mapped. What a model runs on is
// memory of its own, so the file may be truncated, written over or removed while it lives.
#pragma once

#include <executorch/runtime/core/data_loader.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "etseg/model.h"
#include "etseg/status.h"

namespace etseg {

// Constants of channels are no larger than this, take little together, and are kept unasked: the
// delegate lets go of all that it has packed, whoever else reads it. Larger ones are kept where the
// program says that somebody does (LoadedProgram::keep_constants).
inline constexpr std::size_t kAlwaysKept = std::size_t{64} << 10;

// Thread-safe. Stays open, to be read again after an instance is lost (model.h), and outlives the
// segments it gave out.
class ProgramFile final : public ::executorch::runtime::DataLoader {
 public:
  // kFileReadFailed, and kInvalidProgram for a file too small to be a program.
  static Result<std::unique_ptr<ProgramFile>> open(const std::string& path);
  ~ProgramFile() override;
  ProgramFile(const ProgramFile&) = delete;
  ProgramFile& operator=(const ProgramFile&) = delete;

  // While one lives, segments that are no longer used are kept: instances that are loaded one after
  // the other read them once.
  class KeepSegments {
   public:
    explicit KeepSegments(const ProgramFile& file);
    ~KeepSegments();
    KeepSegments(const KeepSegments&) = delete;
    KeepSegments& operator=(const KeepSegments&) = delete;

   private:
    const ProgramFile& file_;
  };

  // While one lives, these segments are mapped and not read: they are asked for, and let go again,
  // by a delegate that has what it would make of them.
  class MapUnread {
   public:
    using Places = std::vector<std::pair<std::size_t, std::size_t>>;  // offset, size
    MapUnread(const ProgramFile& file, const Places& places);
    ~MapUnread();
    MapUnread(const MapUnread&) = delete;
    MapUnread& operator=(const MapUnread&) = delete;

    // Whether all of them were let go, and the file has not changed meanwhile.
    bool were_let_go() const;

   private:
    const ProgramFile& file_;
  };

  // Where in the file the memory of a segment that is kept comes from; kNowhere for other memory.
  std::uint64_t place_of(const void* memory) const;

  // The segments that are kept and not used.
  MapUnread::Places unused() const;

  // The names of constants, in the payloads that were read: see constants_packed_and_read().
  std::vector<std::string> packed_and_read() const;

  FileIdentity identity() const;

  // Why a segment could not be read: the runtime's own errors do not tell. kFileReadFailed if the
  // file has changed since it was opened (what is read together has to belong together), or the
  // system's error.
  Status failure() const;

  // The runtime's side. Whoever asks for a segment that is in use gets the same memory.
  ::executorch::runtime::Result<::executorch::runtime::FreeableBuffer> load(
      std::size_t offset, std::size_t size, const SegmentInfo& info) const override;
  ::executorch::runtime::Error load_into(std::size_t offset, std::size_t size,
                                         const SegmentInfo& info, void* buffer) const override;
  ::executorch::runtime::Result<std::size_t> size() const override;

 private:
  struct Segment;
  using Place = std::pair<std::size_t, std::size_t>;  // offset, size

  ProgramFile(int descriptor, std::string path, const struct ::stat& opened);
  static void release(void* segment, void* memory, std::size_t size);
  // With the lock held.
  Segment* find_or_read(Place place) const;  // null: failure_ says why
  bool is_unread(Place place) const;
  bool read(Place place, void* buffer) const;
  void free_unused() const;

  const int descriptor_;
  const std::string path_;
  const struct ::stat opened_;
  mutable std::mutex mutex_;
  mutable std::map<Place, std::unique_ptr<Segment>> segments_;  // guarded, as all below
  mutable int keepers_ = 0;
  mutable const MapUnread::Places* unread_ = nullptr;
  mutable std::vector<std::string> packed_and_read_;
  mutable Status failure_;
};

}  // namespace etseg
