#include "base/waited_child.h"

#include <sys/wait.h>

#include <utility>

namespace cordon {
namespace {

thread_local pid_t waited = 0;

}  // namespace

WaitedChild::WaitedChild(pid_t pid) : before_(std::exchange(waited, pid)) {}

WaitedChild::~WaitedChild() {
  waited = before_;
}

void WaitedChild::ReapOthers() {
  for (;;) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    // It stands before those that ended after it; they are reaped when it was.
    if (info.si_pid == waited) return;
    (void)waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

}  // namespace cordon
