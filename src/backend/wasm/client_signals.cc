#include "backend/wasm/client_signals.h"

#include <atomic>
#include <cerrno>

#include "backend/wasm/keeper.h"

namespace cordon::backend {
namespace {

// A handler has no other way to its object.
std::atomic<control::Control*> bell_page = nullptr;
std::atomic<uint64_t> noted = 0;

void NoteSignal(int number) {
  const int saved = errno;
  noted.fetch_or(uint64_t{1} << number);
  if (control::Control* page = bell_page.load(); page != nullptr) Keeper::WakeUp(*page);
  errno = saved;
}

}  // namespace

ClientSignals::ClientSignals(control::Control& page) {
  bell_page.store(&page);
  struct sigaction action = {};
  action.sa_handler = NoteSignal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kNoted.size(); ++i) {
    (void)sigaction(kNoted[i], nullptr, &before_[i]);
    // nohup and background jobs of simple shells: what was ignored stays ignored.
    if (before_[i].sa_handler == SIG_IGN && kNoted[i] != SIGCHLD) continue;
    (void)sigaction(kNoted[i], &action, nullptr);
  }
  // A client that goes away is an error of write(2).
  action.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &action, &broken_pipe_before_);
}

ClientSignals::~ClientSignals() {
  for (size_t i = 0; i < kNoted.size(); ++i) (void)sigaction(kNoted[i], &before_[i], nullptr);
  (void)sigaction(SIGPIPE, &broken_pipe_before_, nullptr);
  bell_page.store(nullptr);
}

std::vector<int> ClientSignals::Take() const {
  const uint64_t bits = noted.exchange(0);
  std::vector<int> numbers;
  for (const int number : kNoted) {
    if (number != SIGCHLD && (bits >> number & 1) != 0) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace cordon::backend
