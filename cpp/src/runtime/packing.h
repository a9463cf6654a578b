// A program's weights, packed by an instance of its own, as the bytes of a file (packed_weights.h).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "etseg/runtime.h"
#include "runtime/instance.h"
#include "runtime/program.h"
#include "runtime/weights_cache.h"

namespace etseg {

class ProgramPacking final : public Packing {
 public:
  ProgramPacking(std::string path, int instances) : path_(std::move(path)), instances_(instances) {}

  Status pack() override;
  Part next() override;
  const ModelInfo& info() const override { return program_.info(); }

 private:
  class End {
   public:
    explicit End(ProgramPacking& packing) : packing_(packing) {}
    ~End();
    End(const End&) = delete;
    End& operator=(const End&) = delete;

   private:
    ProgramPacking& packing_;
  };

  Status load();
  void add(const WeightsCache::Made& made);
  void add_index();
  void put(Part part);

  const std::string path_;
  const int instances_;
  LoadedProgram program_;
  LoadedInstance instance_;
  std::vector<PackedEntry> entries_, unread_;
  std::uint64_t written_ = 0;  // bytes of all parts
  std::vector<char> index_;    // entries, unread and footer, as in the file

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Part> ready_;  // guarded
  bool ended_ = false;      // guarded: no part comes any more
};

}  // namespace etseg
