#ifndef CORDON_BASE_WAITED_CHILD_H_
#define CORDON_BASE_WAITED_CHILD_H_

#include <sys/types.h>

namespace cordon {

// A child whose end somebody waits for by himself: whoever reaps all children leaves it alone, so
// that how it ended is not lost. One at a time in a thread, which is also the one that reaps.
class WaitedChild {
 public:
  explicit WaitedChild(pid_t pid);
  ~WaitedChild();
  WaitedChild(const WaitedChild&) = delete;
  WaitedChild& operator=(const WaitedChild&) = delete;

  // Every other child of this process that has ended is reaped, as far as it can be without
  // waiting.
  static void ReapOthers();

 private:
  pid_t before_;
};

}  // namespace cordon

#endif  // CORDON_BASE_WAITED_CHILD_H_
