// Postprocessing against the memory it writes and reads: milliseconds (median) into fresh and into
// reused arrays, the ratio to filling fresh arrays of the same size on one thread, as numpy.full
// does, and of the reused time to a memset of those arrays and to reading the logits once, both on
// as many threads. One line for each case, instruction set (ETSEG_ISA: that one only) and number of
// threads.
// With ETSEG_BENCH_PROCESSOR_TIME set: processor time, on one thread alone.
//   bench_postprocess [rounds] [part of a case's name] [logits.bin]
// logits.bin: float32 21x257x257 of a real network; without it, a synthetic field.
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "etseg/isa.h"
#include "etseg/postprocess.h"

namespace {

// Two threads that wait for work as the runtime's pool does, without sleeping: the caller is one.
class TwoThreads final : public etseg::Executor {
 public:
  TwoThreads() : worker_([this] { work(); }) {}
  ~TwoThreads() override {
    body_ = nullptr;
    turn_.fetch_add(1, std::memory_order_release);
    worker_.join();
  }
  int concurrency() const override { return 2; }
  void run(std::int64_t begin, std::int64_t end, std::int64_t /*grain*/,
           etseg::RangeBody body) const override {
    const std::int64_t middle = begin + (end - begin + 1) / 2;
    body_ = &body;
    begin_ = middle;
    end_ = end;
    const unsigned turn = turn_.fetch_add(1, std::memory_order_release) + 1;
    body(begin, middle);
    while (done_.load(std::memory_order_acquire) != turn) {
    }
  }

 private:
  void work() {
    for (unsigned turn = 1;; ++turn) {
      while (turn_.load(std::memory_order_acquire) != turn) {
      }
      if (body_ == nullptr) return;
      if (begin_ < end_) (*body_)(begin_, end_);
      done_.store(turn, std::memory_order_release);
    }
  }
  mutable const etseg::RangeBody* body_ = nullptr;
  mutable std::int64_t begin_ = 0, end_ = 0;
  mutable std::atomic<unsigned> turn_ = 0, done_ = 0;
  std::thread worker_;
};

// Untouched memory, in huge pages where the system grants them, as numpy asks for, and as far
// behind the start of a page as numpy's large arrays are.
class Fresh {
 public:
  explicit Fresh(std::size_t bytes) : bytes_(bytes + kOffset) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) std::abort();
    if (bytes_ >= (std::size_t{4} << 20)) madvise(data_, bytes_, MADV_HUGEPAGE);
  }
  ~Fresh() { munmap(data_, bytes_); }
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
  void* data() { return static_cast<char*>(data_) + kOffset; }

 private:
  static constexpr std::size_t kOffset = 16;
  std::size_t bytes_;
  void* data_;
};

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Or of this thread's own processor time, which tells on a machine that others use too.
const bool by_processor_time = std::getenv("ETSEG_BENCH_PROCESSOR_TIME") != nullptr;

double now() {
  if (!by_processor_time) {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(time).count();
  }
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

template <typename F>
double milliseconds(F body) {
  const double start = now();
  body();
  return now() - start;
}

// One pass over values [begin, end), past whose last whole 128 bytes nothing is read.
void read_once(const float* values, std::int64_t begin, std::int64_t end) {
  using Vector = std::uint64_t __attribute__((vector_size(16)));
  static std::atomic<std::uint64_t> sink = 0;
  Vector seen[8] = {};
  for (std::int64_t i = begin; i + 32 <= end; i += 32) {
    for (int k = 0; k < 8; ++k) {
      Vector v;
      std::memcpy(&v, values + i + 4 * k, sizeof v);
      seen[k] |= v;
    }
  }
  for (const Vector& v : seen) sink.fetch_or(v[0] | v[1], std::memory_order_relaxed);
}

// Blobs as a network that upsamples a coarse grid gives them: waves of a few periods per class.
std::vector<float> synthetic(std::int64_t channels, std::int64_t height, std::int64_t width) {
  std::vector<float> logits;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double k = static_cast<double>(c);
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const double v = std::sin(k + 0.02 * static_cast<double>(y) * (1 + std::sin(k))) *
                         std::cos(2 * k + 0.02 * static_cast<double>(x) * (1 + std::cos(3 * k)));
        logits.push_back(static_cast<float>(9 * v));
      }
    }
  }
  return logits;
}

struct Case {
  const char* name;
  etseg::Activation activation;
  std::int64_t channels, source, height, width;
  std::int64_t planes;
  bool interleaved = false;  // channels-last
};

constexpr Case kCases[] = {
    {"selfie 256, model size, 1 plane", etseg::Activation::kNone, 1, 256, 256, 256, 1},
    {"deeplab 257, model size", etseg::Activation::kSoftmax, 21, 257, 257, 257, 0},
    {"deeplab 257, model size, 1 plane", etseg::Activation::kSoftmax, 21, 257, 257, 257, 1},
    {"deeplab 257, channels-last", etseg::Activation::kSoftmax, 21, 257, 257, 257, 0, true},
    {"deeplab 257, channels-last, 1 plane", etseg::Activation::kSoftmax, 21, 257, 257, 257, 1,
     true},
    {"selfie 256 to 640x480, 1 plane", etseg::Activation::kNone, 1, 256, 480, 640, 1},
    {"selfie 256 to 12 MP, 1 plane", etseg::Activation::kNone, 1, 256, 3024, 4032, 1},
    {"deeplab 257 to 640x480", etseg::Activation::kSoftmax, 21, 257, 480, 640, 0},
    {"deeplab 257 to 640x480, 1 plane", etseg::Activation::kSoftmax, 21, 257, 480, 640, 1},
    {"deeplab 257 to 1080p", etseg::Activation::kSoftmax, 21, 257, 1080, 1920, 0},
    {"deeplab 257 to 1080p, 1 plane", etseg::Activation::kSoftmax, 21, 257, 1080, 1920, 1},
    {"deeplab 257 to 12 MP", etseg::Activation::kSoftmax, 21, 257, 3024, 4032, 0},
    {"deeplab 257 to 12 MP, 1 plane", etseg::Activation::kSoftmax, 21, 257, 3024, 4032, 1},
    {"deeplab 257 to 12 MP, 1 plane, c-last", etseg::Activation::kSoftmax, 21, 257, 3024, 4032, 1,
     true},
    {"deeplab 257 to 12 MP, 3 planes", etseg::Activation::kSoftmax, 21, 257, 3024, 4032, 3},
    {"deeplab 257 to 12 MP, 21 planes", etseg::Activation::kSoftmax, 21, 257, 3024, 4032, 21},
};

void measure(const Case& item, const std::vector<float>& logits, int rounds) {
  const auto pixels = static_cast<std::size_t>(item.height * item.width);
  const std::size_t bytes = pixels * 4 * static_cast<std::size_t>(1 + item.planes);
  Fresh reused(bytes);
  const auto target_in = [&](void* memory, std::vector<etseg::ProbabilityPlane>& planes) {
    planes.clear();
    for (std::int64_t p = 0; p < item.planes; ++p) {
      const std::int64_t label = (15 + p) % etseg::label_count(item.channels);
      planes.push_back(
          {label, static_cast<float*>(memory) + pixels * static_cast<std::size_t>(p + 1)});
    }
    return etseg::PostprocessTarget{item.height, item.width, memory, etseg::LabelType::kInt32,
                                    planes};
  };
  const etseg::LogitsView view = {
      logits.data(), item.channels, item.source, item.source,
      item.interleaved ? etseg::LogitsLayout::kInterleaved : etseg::LogitsLayout::kPlanar};
  std::vector<etseg::ProbabilityPlane> planes;
  const char* forced = std::getenv("ETSEG_ISA");
  for (const etseg::Isa isa : etseg::supported_isas()) {
    if (forced != nullptr && std::strcmp(forced, etseg::isa_name(isa)) != 0) continue;
    for (int threads : {1, 2}) {
      if (threads == 2 && by_processor_time) continue;
      etseg::Postprocessor runner(item.activation, isa);
      const etseg::SerialExecutor serial;
      std::optional<TwoThreads> two;  // its second thread is busy even when it waits
      if (threads == 2) two.emplace();
      const etseg::Executor& executor = two ? static_cast<const etseg::Executor&>(*two) : serial;
      std::vector<double> full, fresh, warm, set, read;
      for (int round = 0; round < rounds; ++round) {
        {
          Fresh memory(bytes);
          full.push_back(milliseconds([&] {
            float* to = static_cast<float*>(memory.data());
            std::fill(to, to + bytes / 4, 1.0F);
          }));
        }
        bool ok = true;
        {
          Fresh memory(bytes);
          const auto target = target_in(memory.data(), planes);
          fresh.push_back(milliseconds([&] { ok = runner.run(view, target, executor).ok(); }));
        }
        const auto target = target_in(reused.data(), planes);
        warm.push_back(milliseconds([&] { ok = runner.run(view, target, executor).ok() && ok; }));
        set.push_back(milliseconds([&] {
          executor.run(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
            const auto part = [&](std::int64_t i) {
              return bytes * static_cast<std::size_t>(i) / static_cast<std::size_t>(threads);
            };
            std::memset(static_cast<char*>(reused.data()) + part(begin), 1,
                        part(end) - part(begin));
          });
        }));
        const auto values = static_cast<std::int64_t>(logits.size());
        read.push_back(milliseconds([&] {
          executor.run(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
            read_once(logits.data(), values * begin / threads, values * end / threads);
          });
        }));
        if (!ok) std::abort();
      }
      std::printf(
          "%-38s %-8s %d thread%s  fresh %7.3f ms (%5.2f x full)  reused %7.3f ms (%5.2f x full, "
          "%5.2f x memset, %6.2f x read)\n",
          item.name, isa_name(isa), threads, threads == 1 ? " " : "s", median(fresh),
          median(fresh) / median(full), median(warm), median(warm) / median(full),
          median(warm) / median(set), median(warm) / median(read));
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(std::atoi(argv[1]), 1) : 15;
  std::vector<float> deeplab = synthetic(21, 257, 257);
  if (argc > 3) {
    std::FILE* file = std::fopen(argv[3], "rb");
    if (file == nullptr ||
        std::fread(deeplab.data(), sizeof(float), deeplab.size(), file) != deeplab.size()) {
      std::fprintf(stderr, "%s: not a file of %zu floats\n", argv[3], deeplab.size());
      return 1;
    }
    std::fclose(file);
  }
  std::vector<float> selfie = synthetic(1, 256, 256);
  for (float& x : selfie) x = 1.0F / (1.0F + std::exp(-x));
  for (const Case& item : kCases) {
    if (argc > 2 && std::strstr(item.name, argv[2]) == nullptr) continue;
    measure(item, item.channels == 1 ? selfie : deeplab, rounds);
  }
  return 0;
}
