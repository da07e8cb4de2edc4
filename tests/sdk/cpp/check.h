#ifndef CORDON_TESTS_SDK_CPP_CHECK_H_
#define CORDON_TESTS_SDK_CPP_CHECK_H_

// What must hold in the programs here: the first thing that does not ends them.

#include <cordon/cordon.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#define CHECK(condition) Check((condition), #condition, __FILE__, __LINE__)

inline void Check(bool holds, const char* condition, const char* file, int line) {
  if (holds) return;
  (void)fprintf(stderr, "%s:%d: %s\n", file, line, condition);
  exit(1);
}

// The value, or the end of the program.
template <typename T>
T Must(cordon::Result<T> result) {
  if (!result) (void)fprintf(stderr, "%s\n", result.error().ToString().c_str());
  if (!result) exit(1);
  return std::move(*result);
}

inline void Must(const cordon::Status& status) {
  if (!status) (void)fprintf(stderr, "%s\n", status.error().ToString().c_str());
  if (!status) exit(1);
}

// Waits for what another thread brings about; whoever runs this has a time-out.
inline void Until(const std::function<bool()>& holds) {
  while (!holds()) std::this_thread::yield();
}

#endif  // CORDON_TESTS_SDK_CPP_CHECK_H_
