// Preprocess against the memory it moves: milliseconds (median), GB/s of the image, and the ratio
// to a memcpy of the image on two threads, timed in the same rounds. One line for each resampler,
// size, instruction set and number of threads.
//   bench_preprocess [rounds]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "etseg/isa.h"
#include "preprocess/resampler.h"

namespace {

// Two threads, the caller being one. The other waits spinning, as those of the runtime's pool do
// between calls: waking a thread takes as long as a small image does.
class TwoThreads final : public etseg::Executor {
 public:
  TwoThreads() : worker_([this] { work(); }) {}
  ~TwoThreads() override {
    state_ = kStop;
    worker_.join();
  }
  int concurrency() const override { return 2; }
  void run(std::int64_t begin, std::int64_t end, std::int64_t /*grain*/,
           etseg::RangeBody body) const override {
    const std::int64_t middle = begin + (end - begin) / 2;
    job_ = {&body, middle, end};
    state_ = kReady;
    if (begin < middle) body(begin, middle);
    while (state_ != kIdle) continue;
  }

 private:
  enum State { kIdle, kReady, kStop };
  struct Job {
    const etseg::RangeBody* body;
    std::int64_t begin, end;
  };
  void work() {
    for (;;) {
      const State state = state_;
      if (state == kStop) return;
      if (state == kIdle) continue;
      if (job_.begin < job_.end) (*job_.body)(job_.begin, job_.end);
      state_ = kIdle;
    }
  }

  mutable Job job_ = {};
  mutable std::atomic<State> state_ = kIdle;
  std::thread worker_;
};

template <typename F>
double milliseconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double>& times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 51;
  const struct {
    const char* name;
    std::int64_t height, width;
  } sources[] = {{"640x480", 480, 640}, {"1080p", 1080, 1920}, {"12 MP", 3024, 4032}};
  const TwoThreads two;
  const etseg::SerialExecutor one;
  std::printf("%-9s %-8s %4s %-9s %7s %9s %7s %14s\n", "filter", "image", "to", "isa", "threads",
              "ms", "GB/s", "of 2-t memcpy");
  for (const auto& source : sources) {
    const auto bytes = static_cast<std::size_t>(source.height * source.width * 3);
    std::vector<std::uint8_t> image(bytes), copy(bytes);
    for (std::size_t i = 0; i < bytes; ++i)
      image[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
    etseg::ImageView view;
    view.data = image.data();
    view.height = source.height;
    view.width = source.width;
    view.row_stride = 3 * source.width;
    for (const etseg::Resample resample :
         {etseg::Resample::kAntialias, etseg::Resample::kBilinear}) {
      for (const std::int64_t size : {257, 256}) {
        for (const etseg::Isa isa : etseg::supported_isas()) {
          std::vector<float> out(static_cast<std::size_t>(3 * size * size));
          const etseg::ResampleTarget target = {size, size, {1, 1, 1}, {0, 0, 0}, out.data()};
          const auto resampler = etseg::make_resampler(resample, isa);
          std::vector<double> copied, single, twice;
          for (int i = -1; i < rounds; ++i) {
            if (i == 0) {  // the round before allocated
              copied.clear();
              single.clear();
              twice.clear();
            }
            copied.push_back(milliseconds([&] {
              two.run(0, 2, 1, [&](std::int64_t begin, std::int64_t end) {
                const std::size_t from = bytes * static_cast<std::size_t>(begin) / 2;
                const std::size_t to = bytes * static_cast<std::size_t>(end) / 2;
                std::memcpy(copy.data() + from, image.data() + from, to - from);
              });
            }));
            single.push_back(milliseconds([&] { resampler->run(view, target, one); }));
            twice.push_back(milliseconds([&] { resampler->run(view, target, two); }));
          }
          const double reference = median(copied);
          for (int threads : {1, 2}) {
            const double time = median(threads == 1 ? single : twice);
            std::printf("%-9s %-8s %4d %-9s %7d %9.3f %7.1f %14.2f\n",
                        resample == etseg::Resample::kAntialias ? "antialias" : "bilinear",
                        source.name, static_cast<int>(size), etseg::isa_name(isa), threads, time,
                        static_cast<double>(bytes) / time * 1e-6, time / reference);
          }
        }
      }
    }
  }
  return 0;
}
