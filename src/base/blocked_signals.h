#ifndef CORDON_BASE_BLOCKED_SIGNALS_H_
#define CORDON_BASE_BLOCKED_SIGNALS_H_

#include <csignal>

namespace cordon {

// While this lives the thread hears no signal. Nor does, ever, one that is started meanwhile:
// signals are for the thread that waits for them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { (void)pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_ = {};
};

}  // namespace cordon

#endif  // CORDON_BASE_BLOCKED_SIGNALS_H_
