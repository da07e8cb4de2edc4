#include "net/askers.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cordon::net {
namespace {

// A hostile command is refused as often as it likes; finding out costs somebody else's time.
constexpr uint64_t kMost = 512;
constexpr size_t kMostAtOnce = 16;
constexpr auto kPatience = std::chrono::seconds(1);

}  // namespace

awaitable<std::string> Askers::Find(const Flow& flow) {
  if (control_ < 0 || asked_ >= kMost || waiting_.size() >= kMostAtOnce) co_return std::string();
  const uint64_t number = ++asked_;
  OwnedFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) co_return std::string();
  const std::string text =
      SocketQuestion{number, flow.transport == Transport::kTcp, flow.source.address.is_ipv4(),
                     flow.source.port, flow.destination.port}
          .Write();
  if (send(control_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    co_return std::string();
  }
  const auto own = std::make_shared<Waiting>(AsyncFd(loop_, std::move(event)), std::string());
  waiting_.emplace(number, own);
  {
    const Deadline deadline(loop_, own->woken, kPatience);
    (void)co_await own->woken.Readable();
  }
  waiting_.erase(number);
  co_return own->who;
}

void Askers::Take(std::string_view text) {
  const auto answer = SocketAnswer::Read(text);
  if (!answer) return;
  const auto found = waiting_.find(answer->number);
  if (found == waiting_.end()) return;
  found->second->who = answer->who;
  const uint64_t one = 1;
  (void)!write(found->second->woken.get(), &one, sizeof one);
}

}  // namespace cordon::net
