// The bytes of a program file: read where they are asked for, never mapped. What a model runs on is
// memory of its own, so the file may be truncated, written over or removed while it lives.
#pragma once

#include <executorch/runtime/core/data_loader.h>
#include <sys/stat.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "etseg/status.h"

namespace etseg {

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
  bool read(Place place, void* buffer) const;
  void free_unused() const;

  const int descriptor_;
  const std::string path_;
  const struct ::stat opened_;
  mutable std::mutex mutex_;
  mutable std::map<Place, std::unique_ptr<Segment>> segments_;  // guarded, as all below
  mutable int keepers_ = 0;
  mutable Status failure_;
};

}  // namespace etseg
