// A test is a function; a failed CHECK prints where and goes on; the exit code counts.
#pragma once

#include <cstdio>
#include <cstring>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*run)();
};
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}
struct Register {
  Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

// Runs the tests whose name contains argv[1]; all without it. Running none is a failure.
inline int run(int argc, char** argv) {
  int ran = 0;
  for (const Test& test : tests()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    const int before = failures();
    test.run();
    std::printf("%s %s\n", failures() == before ? "ok  " : "FAIL", test.name);
    ++ran;
  }
  std::printf("%d tests, %d failed checks\n", ran, failures());
  return ran == 0 || failures() != 0;
}

}  // namespace check

#define TEST(name)                                             \
  static void name();                                          \
  static const check::Register name##_registered(#name, name); \
  static void name()

#define CHECK(condition)                                                 \
  do {                                                                   \
    if (!(condition)) {                                                  \
      ++check::failures();                                               \
      std::printf("%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition); \
    }                                                                    \
  } while (false)

// With what was seen, printf-style.
#define CHECK_MSG(condition, ...)                                        \
  do {                                                                   \
    if (!(condition)) {                                                  \
      ++check::failures();                                               \
      std::printf("%s:%d: CHECK(%s): ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                          \
      std::printf("\n");                                                 \
    }                                                                    \
  } while (false)

int main(int argc, char** argv) { return check::run(argc, argv); }
