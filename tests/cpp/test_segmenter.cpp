// The segmenter's locking: order, close() during a call, one owner of the model. The runtime is a
// fake, its threads are std::thread, so that ThreadSanitizer sees everything.
#include "etseg/segmenter.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "instance_queue.h"
#include "thread_executor.h"

namespace {

using etseg::Activation;
using etseg::Code;
using etseg::ImageView;
using etseg::LogitsView;
using etseg::Model;
using etseg::ModelInfo;
using etseg::ModelOutput;
using etseg::PostprocessTarget;
using etseg::ProbabilityPlane;
using etseg::Result;
using etseg::Segmenter;
using etseg::SegmenterOptions;
using etseg::StageTimes;
using etseg::Status;

constexpr std::int64_t kHeight = 5;
constexpr std::int64_t kWidth = 7;
constexpr std::int64_t kPixels = kHeight * kWidth;

// What happens to a fake model; outlives it.
struct Record {
  std::atomic<int> alive = 0;
  std::atomic<int> freed = 0;
  std::atomic<int> executed = 0;
  std::atomic<int> ever_used = 0;  // models that executed at least once
  std::atomic<int> running = 0;
  std::atomic<bool> overlapped = false;   // two calls in execute() at once
  std::atomic<bool> used_by_two = false;  // the same, of one model
  std::atomic<bool> freed_while_running = false;

  // A gate in execute(): closed, calls wait in it.
  std::mutex mutex;
  std::condition_variable changed;
  bool gate_open = true;
  int at_gate = 0;

  std::atomic<bool> fail_next = false;
  std::atomic<bool> throw_next = false;
  std::atomic<bool> lost = false;  // input() has nothing to give, until it is unset

  void close_gate() {
    const std::lock_guard lock(mutex);
    gate_open = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex);
    gate_open = true;
    changed.notify_all();
  }
  void pass_gate() {
    std::unique_lock lock(mutex);
    ++at_gate;
    changed.notify_all();
    changed.wait(lock, [&] { return gate_open; });
    --at_gate;
  }
  void wait_until_at_gate(int calls = 1) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return at_gate >= calls; });
  }
};

// Logits: the channels of the input, so the result shows which image was segmented.
class FakeModel final : public Model {
 public:
  explicit FakeModel(Record& record, std::int64_t channels = 3) : record_(record) {
    info_.input_height = info_.output_height = kHeight;
    info_.input_width = info_.output_width = kWidth;
    info_.channels = channels;
    input_.resize(3 * kPixels);
    output_.resize(static_cast<std::size_t>(channels * kPixels));
    ++record_.alive;
  }
  ~FakeModel() override {
    if (busy_) record_.freed_while_running = true;
    --record_.alive;
    ++record_.freed;
  }
  const ModelInfo& info() const override { return info_; }
  Result<void*> input() override {
    if (record_.lost) return Status(Code::kFileReadFailed, "as the test wants");
    return input_.data();
  }

  Result<ModelOutput> execute() override {
    if (record_.running.fetch_add(1) != 0) record_.overlapped = true;
    if (busy_.exchange(true)) record_.used_by_two = true;
    record_.pass_gate();
    for (std::size_t i = 0; i < output_.size(); ++i) output_[i] = 4.0f * input_[i % input_.size()];
    ++record_.executed;
    if (!std::exchange(used_, true)) ++record_.ever_used;
    --record_.running;
    busy_ = false;
    if (record_.throw_next.exchange(false)) throw std::bad_alloc();
    if (record_.fail_next.exchange(false)) return Status(Code::kInternal, "as the test wants");
    return ModelOutput(LogitsView{output_.data(), info_.channels, kHeight, kWidth});
  }

 private:
  Record& record_;
  std::atomic<bool> busy_ = false;
  bool used_ = false;
  ModelInfo info_;
  std::vector<float> input_;
  std::vector<float> output_;
};

std::vector<std::unique_ptr<Model>> fakes(Record& record, int count, std::int64_t channels = 3) {
  std::vector<std::unique_ptr<Model>> models;
  for (int i = 0; i < count; ++i) models.push_back(std::make_unique<FakeModel>(record, channels));
  return models;
}

std::shared_ptr<Segmenter> make(
    Record& record, const etseg::Executor& executor,
    std::function<Status()> process_check = [] { return Status(); }, int instances = 1) {
  auto segmenter = Segmenter::create(fakes(record, instances), SegmenterOptions{}, executor,
                                     std::move(process_check));
  CHECK(segmenter.ok());
  return std::move(segmenter).value();
}

struct Maps {
  std::vector<std::int32_t> argmax = std::vector<std::int32_t>(kPixels, -1);
  std::vector<float> probability = std::vector<float>(kPixels, -1.0f);
  bool operator==(const Maps&) const = default;
};

std::vector<std::uint8_t> image_of(int seed) {
  std::vector<std::uint8_t> image(3 * kPixels);
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<std::uint8_t>(i * 37 + static_cast<std::size_t>(seed) * 101);
  }
  return image;
}

Status forward(Segmenter& segmenter, int seed, Maps& maps, StageTimes* times = nullptr) {
  const std::vector<std::uint8_t> image = image_of(seed);
  const ImageView view{image.data(), kHeight, kWidth, 3 * kWidth};
  const ProbabilityPlane plane{1, maps.probability.data()};
  PostprocessTarget target;
  target.height = kHeight;
  target.width = kWidth;
  target.argmax = maps.argmax.data();
  target.planes = {&plane, 1};
  StageTimes unused;
  return segmenter.forward(view, target, times == nullptr ? unused : *times);
}

Code code_of(Segmenter& segmenter) {
  Maps maps;
  return forward(segmenter, 0, maps).code();
}

void check_sane(const Record& record) {
  CHECK(!record.overlapped);
  CHECK(!record.freed_while_running);
}

TEST(instances_are_given_in_the_order_they_were_asked_for) {
  etseg::InstanceQueue queue;
  const auto first = queue.take();
  CHECK(first == 0u);
  std::vector<int> order;  // guarded by the queue itself
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&queue, &order, i] {
      const auto number = queue.take();
      CHECK(number == 0u);
      order.push_back(i);
      CHECK(!queue.give_back(*number));
    });
    while (queue.waiting() != static_cast<std::size_t>(i) + 1) std::this_thread::yield();
  }
  CHECK(!queue.give_back(*first));
  for (std::thread& thread : threads) thread.join();
  CHECK(order.size() == 16 && std::is_sorted(order.begin(), order.end()));
}

TEST(the_one_used_first_can_be_asked_for_and_all_that_are_free) {
  etseg::InstanceQueue queue(3);
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t expected : {2u, 1u, 0u}) {
      CHECK(queue.take(true) == expected);
      CHECK(!queue.give_back(expected));
    }
  }
  const auto mine = queue.take();
  CHECK(mine == 0u);
  CHECK((queue.take_free() == std::vector<std::size_t>{2, 1}));
  CHECK(queue.take_free().empty());
  CHECK(!queue.give_back(2));
  CHECK(queue.take() == 2u);
}

TEST(warming_up_runs_every_model_once) {
  const etseg::SerialExecutor executor;
  Record record;
  const auto segmenter = make(record, executor, [] { return Status(); }, 3);
  for (const int rounds : {1, 2}) {
    CHECK(segmenter->warm_up().ok());
    CHECK(record.executed == 3 * rounds && record.ever_used == 3);
  }
  record.fail_next = true;
  CHECK(segmenter->warm_up().code() == Code::kInternal);
  CHECK(segmenter->warm_up().ok());
  segmenter->close();
  CHECK(segmenter->warm_up().code() == Code::kModuleNotLoaded);
  check_sane(record);
}

TEST(trimming_leaves_a_model_that_runs_alone) {
  const etseg::SerialExecutor executor;
  Record record;
  const auto segmenter = make(record, executor, [] { return Status(); }, 2);
  Maps before, during, after;
  CHECK(forward(*segmenter, 1, before).ok());
  record.close_gate();
  std::thread caller([&] { CHECK(forward(*segmenter, 1, during).ok()); });
  record.wait_until_at_gate();
  segmenter->trim();
  record.open_gate();
  caller.join();
  CHECK(forward(*segmenter, 1, after).ok());
  CHECK(before == during && before == after);
  const auto pool = segmenter->maps(std::size_t{1} << 20);
  pool->give_back(pool->take(1 << 20), 1 << 20);
  CHECK(pool->kept() > 0);
  segmenter->trim();
  CHECK(pool->kept() == 0);
  pool->give_back(pool->take(1 << 20), 1 << 20);
  CHECK(pool->kept() > 0);  // it goes on keeping
  segmenter->close();
  segmenter->trim();
  check_sane(record);
}

TEST(a_number_is_one_callers_and_the_last_used_comes_first) {
  etseg::InstanceQueue queue(3);
  CHECK(queue.take() == 0u);
  CHECK(queue.take() == 1u);
  CHECK(!queue.give_back(0));
  CHECK(queue.take() == 0u);
  CHECK(queue.take() == 2u);
  std::optional<std::size_t> handed;
  std::thread waiter([&] { handed = queue.take(); });
  while (queue.waiting() != 1) std::this_thread::yield();
  CHECK(!queue.give_back(1));
  waiter.join();
  CHECK(handed == 1u);
}

TEST(a_closed_queue_turns_everybody_away_and_leave_each_number_to_one_cleaner) {
  etseg::InstanceQueue queue(3);
  CHECK(queue.take() == 0u);
  CHECK(queue.take() == 1u);
  CHECK(queue.take() == 2u);
  std::atomic<int> admitted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { admitted += queue.take() ? 1 : 0; });
  while (queue.waiting() != 8) std::this_thread::yield();
  CHECK(queue.close().empty());  // somebody is in each: they clean up
  for (std::thread& thread : threads) thread.join();
  CHECK(admitted == 0);
  CHECK(queue.give_back(1));
  CHECK(queue.close().empty());
  CHECK(!queue.take());
  CHECK(queue.give_back(0) && queue.give_back(2));

  etseg::InstanceQueue half(2);
  CHECK(half.take() == 0u);
  CHECK(half.close() == std::vector<std::size_t>{1});
  CHECK(half.close().empty());
  CHECK(half.give_back(0));
}

TEST(threads_get_what_a_serial_caller_gets) {
  constexpr int kThreads = 8;
  constexpr int kForwards = 50;
  Record record;
  const ThreadExecutor executor(2);
  std::array<Maps, kThreads> expected;
  {
    const etseg::SerialExecutor serial;
    const auto segmenter = make(record, serial);
    for (int i = 0; i < kThreads; ++i)
      CHECK(forward(*segmenter, i, expected[static_cast<std::size_t>(i)]).ok());
  }
  CHECK(expected[0] != expected[1]);
  const auto segmenter = make(record, executor);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kForwards; ++n) {
        Maps maps;
        if (!forward(*segmenter, i, maps).ok() || maps != expected[static_cast<std::size_t>(i)])
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(record.executed == kThreads + kThreads * kForwards);
  check_sane(record);
}

TEST(as_many_calls_run_as_there_are_instances) {
  constexpr int kInstances = 3;
  constexpr int kThreads = 8;
  Record record;
  const etseg::SerialExecutor executor;
  const auto segmenter = make(record, executor, [] { return Status(); }, kInstances);
  CHECK(record.alive == kInstances);
  std::array<Maps, kThreads> expected;
  for (int i = 0; i < kThreads; ++i)
    CHECK(forward(*segmenter, i, expected[static_cast<std::size_t>(i)]).ok());
  CHECK(!record.overlapped);

  record.close_gate();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 30; ++n) {
        Maps maps;
        if (!forward(*segmenter, i, maps).ok() || maps != expected[static_cast<std::size_t>(i)])
          ++wrong;
      }
    });
  }
  record.wait_until_at_gate(kInstances);  // and these are all: a fourth would be in one of theirs
  CHECK(record.running == kInstances);
  record.open_gate();
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(record.executed == kThreads + kThreads * 30);
  CHECK(!record.used_by_two);
}

TEST(close_frees_idle_instances_at_once_and_busy_ones_as_their_calls_end) {
  Record record;
  const etseg::SerialExecutor executor;
  const auto segmenter = make(record, executor, [] { return Status(); }, 3);
  record.close_gate();
  std::atomic<int> done = 0;
  std::vector<std::thread> runners;
  for (int i = 0; i < 2; ++i) {
    runners.emplace_back([&] { done += code_of(*segmenter) == Code::kOk ? 1 : 0; });
  }
  record.wait_until_at_gate(2);
  segmenter->close();
  CHECK(record.freed == 1 && record.alive == 2);
  CHECK(code_of(*segmenter) == Code::kModuleNotLoaded);
  record.open_gate();
  for (std::thread& runner : runners) runner.join();
  CHECK(done == 2);
  CHECK(record.freed == 3);
  CHECK(!record.used_by_two);
}

TEST(close_lets_the_running_call_finish_and_turns_the_others_away) {
  Record record;
  const etseg::SerialExecutor executor;
  std::atomic<int> arrived = 0;
  const auto segmenter = make(record, executor, [&] {
    ++arrived;
    return Status();
  });
  Maps expected;
  CHECK(forward(*segmenter, 3, expected).ok());

  record.close_gate();
  Maps maps;
  Status running;
  std::thread runner([&] { running = forward(*segmenter, 3, maps); });
  record.wait_until_at_gate();
  std::atomic<int> refused = 0;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 6; ++i) {
    waiters.emplace_back([&] { refused += code_of(*segmenter) == Code::kModuleNotLoaded; });
  }
  while (arrived != 8) std::this_thread::yield();

  segmenter->close();  // returns although the call above cannot finish yet
  CHECK(record.alive == 1);
  for (std::thread& waiter : waiters) waiter.join();
  CHECK(refused == 6);
  CHECK(record.alive == 1);
  record.open_gate();
  runner.join();
  CHECK(running.ok());
  CHECK(maps == expected);
  CHECK(record.freed == 1);  // by the call, as it left
  CHECK(record.executed == 2);
  CHECK(code_of(*segmenter) == Code::kModuleNotLoaded);
  check_sane(record);
}

TEST(close_frees_an_idle_model_once) {
  Record record;
  const etseg::SerialExecutor executor;
  auto segmenter = make(record, executor);
  segmenter->close();
  CHECK(record.freed == 1);
  segmenter->close();
  CHECK(code_of(*segmenter) == Code::kModuleNotLoaded);
  CHECK(segmenter->info().channels == 3);  // valid for the segmenter's lifetime
  segmenter.reset();
  CHECK(record.freed == 1);
}

TEST(the_destructor_frees_the_model) {
  Record record;
  const etseg::SerialExecutor executor;
  auto segmenter = make(record, executor);
  Maps maps;
  CHECK(forward(*segmenter, 0, maps).ok());
  segmenter.reset();
  CHECK(record.freed == 1 && record.alive == 0);
}

TEST(close_races_with_calls_and_with_itself) {
  for (int round = 0; round < 50; ++round) {
    Record record;
    const ThreadExecutor executor(2);
    const int instances = 1 + round % 3;
    auto segmenter = make(record, executor, [] { return Status(); }, instances);
    std::atomic<int> done = 0;
    std::atomic<int> other = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (;;) {
          const Code code = code_of(*segmenter);
          if (code == Code::kModuleNotLoaded) return;
          ++(code == Code::kOk ? done : other);
        }
      });
    }
    while (done < round % 5) std::this_thread::yield();
    std::thread second([&] { segmenter->close(); });
    segmenter->close();
    second.join();
    for (std::thread& thread : threads) thread.join();
    CHECK(other == 0);
    CHECK(record.freed == instances);
    CHECK(record.executed == done);
    CHECK(!record.freed_while_running && !record.used_by_two);
  }
}

TEST(a_failed_stage_leaves_it_usable) {
  Record record;
  const etseg::SerialExecutor executor;
  const auto segmenter = make(record, executor);
  Maps expected;
  CHECK(forward(*segmenter, 1, expected).ok());

  record.fail_next = true;
  CHECK(code_of(*segmenter) == Code::kInternal);
  record.throw_next = true;
  CHECK(code_of(*segmenter) == Code::kOutOfMemory);

  const int executed = record.executed;
  record.lost = true;
  CHECK(code_of(*segmenter) == Code::kFileReadFailed);
  CHECK(record.executed == executed);
  record.lost = false;

  const std::vector<std::uint8_t> image = image_of(1);
  std::vector<std::int32_t> argmax(kPixels);
  PostprocessTarget target;
  target.argmax = argmax.data();
  StageTimes times;
  const ImageView view{image.data(), kHeight, kWidth, 3 * kWidth};
  CHECK(segmenter->forward(view, target, times).code() == Code::kInvalidUserInput);  // no size
  const ImageView empty{image.data(), 0, kWidth, 3 * kWidth};
  target.height = kHeight;
  target.width = kWidth;
  CHECK(segmenter->forward(empty, target, times).code() == Code::kInvalidUserInput);
  const ProbabilityPlane unknown{3, nullptr};
  target.planes = {&unknown, 1};
  CHECK(segmenter->forward(view, target, times).code() == Code::kInvalidUserInput);

  Maps maps;
  CHECK(forward(*segmenter, 1, maps).ok());
  CHECK(maps == expected);
  CHECK(record.alive == 1);
}

TEST(a_failed_stage_after_close_frees_the_model) {
  Record record;
  const etseg::SerialExecutor executor;
  const auto segmenter = make(record, executor);
  record.close_gate();
  record.fail_next = true;
  Code code = Code::kOk;
  std::thread runner([&] { code = code_of(*segmenter); });
  record.wait_until_at_gate();
  segmenter->close();
  record.open_gate();
  runner.join();
  CHECK(code == Code::kInternal);
  CHECK(record.freed == 1);
}

TEST(the_process_check_is_asked_before_every_call) {
  Record record;
  const etseg::SerialExecutor executor;
  bool forked = false;
  const auto segmenter = make(record, executor, [&] {
    return forked ? Status(Code::kThreadPoolError, "forked") : Status();
  });
  CHECK(code_of(*segmenter) == Code::kOk);
  forked = true;
  CHECK(code_of(*segmenter) == Code::kThreadPoolError);
  CHECK(record.executed == 1);
  forked = false;
  CHECK(code_of(*segmenter) == Code::kOk);
}

// In a forked child the lock may be held by a thread that is not there: the child must neither wait
// for it, nor free what that thread uses.
TEST(a_forked_child_neither_waits_nor_frees) {
  Record record;
  const etseg::SerialExecutor executor;
  const pid_t parent = getpid();
  auto segmenter = make(record, executor, [parent] {
    return getpid() == parent ? Status() : Status(Code::kThreadPoolError, "forked");
  });
  record.close_gate();
  std::thread runner([&] { CHECK(code_of(*segmenter) == Code::kOk); });
  record.wait_until_at_gate();
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // a hang becomes a failure
    const bool refused = code_of(*segmenter) == Code::kThreadPoolError;
    segmenter->close();
    segmenter.reset();
    _exit(refused && record.freed == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
  record.open_gate();
  runner.join();
  CHECK(record.alive == 1);
}

TEST(options_that_do_not_fit_are_refused_and_the_model_freed) {
  const etseg::SerialExecutor executor;
  const auto create = [&](Record& record, std::int64_t channels, Activation activation) {
    SegmenterOptions options;
    options.activation = activation;
    auto made = Segmenter::create(fakes(record, 1, channels), options, executor);
    return made.status().code();
  };
  Record record;
  CHECK(create(record, 1, Activation::kSoftmax) == Code::kInvalidConfig);
  CHECK(create(record, 1, Activation::kNormalise) == Code::kInvalidConfig);
  CHECK(record.alive == 0);
  CHECK(create(record, 1, Activation::kSigmoid) == Code::kOk);
  CHECK(create(record, 3, Activation::kSigmoid) == Code::kOk);
  CHECK(create(record, 1, Activation::kNone) == Code::kOk);
  CHECK(create(record, 3, Activation::kNone) == Code::kOk);
  CHECK(create(record, 3, Activation::kNormalise) == Code::kOk);
  CHECK(record.alive == 0 && record.freed == 7);
}

TEST(a_grid_of_no_size_is_refused) {
  const etseg::SerialExecutor executor;
  Record record;
  for (const auto& [height, width] : {std::pair{0, 5}, {5, 0}, {-1, -1}}) {
    SegmenterOptions options;
    options.grid = {etseg::LogitsGridKind::kAlignCorners, height, width};
    const auto made = Segmenter::create(fakes(record, 1, 3), options, executor);
    CHECK(made.status().code() == Code::kInvalidConfig);
  }
  CHECK(record.alive == 0);
}

TEST(the_stages_are_timed) {
  Record record;
  const etseg::SerialExecutor executor;
  const auto segmenter = make(record, executor);
  record.close_gate();
  StageTimes times;
  std::thread runner([&] {
    Maps maps;
    CHECK(forward(*segmenter, 0, maps, &times).ok());
  });
  record.wait_until_at_gate();
  constexpr auto kHeld = std::chrono::milliseconds(5);
  std::this_thread::sleep_for(kHeld);
  record.open_gate();
  runner.join();
  CHECK(times.inference >= std::chrono::nanoseconds(kHeld).count());
  CHECK(times.preprocess > 0);
  CHECK(times.postprocess > 0);
}

}  // namespace
