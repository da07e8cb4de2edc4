#include "backend/wasm/family_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "backend/wasm/family_process.h"
#include "backend/wasm/process_table.h"
#include "base/fd_message.h"

namespace cordon::backend {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Processes that were killed are gone long before; then the family process itself is at fault.
constexpr std::chrono::seconds kEndTime{10};

// False: not before the deadline.
bool AwaitReadable(int socket, FamilyLink::Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd ready = {socket, POLLIN, 0};
    const int found = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (found > 0) return true;
    if (found == 0 && left <= 0) return false;
  }
}

}  // namespace

FamilyLink::FamilyLink(const FamilyLink& origin, OwnedFd socket, pid_t group)
    : socket_(std::move(socket)),
      family_(origin.family_),
      group_(group),
      isolation_(origin.isolation_) {}

Result<FamilyLink> FamilyLink::Start(const Options& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair");
  }
  FamilyLink link;
  link.socket_.reset(ends[0]);
  OwnedFd other(ends[1]);
  // Not through a program of its own: it is this program, and has nothing to be kept from.
  link.family_ = fork();
  if (link.family_ < 0) return SystemError("fork");
  if (link.family_ == 0) {
    link.socket_.reset();
    for (const int fd : options.private_fds) close(fd);
    RunFamilyProcess(options, std::move(other));
  }
  other.reset();
  FamilyEvent event;
  const Result<FdMessage> started = ReceiveWithFds(link.socket_.get(), WritableBytesOf(event), 0);
  if (!started) return std::unexpected(started.error());
  if (started->size != sizeof event) {
    return Fail(ErrorCode::kSystem, "the family process ended before it had started anything");
  }
  if (event.kind != FamilyEvent::kStarted) return Fail(ErrorCode::kSystem, event.text);
  link.group_ = event.group;
  link.isolation_ = event.isolation;
  return link;
}

Result<std::optional<Death>> FamilyLink::NextDeath() {
  if (!deaths_.empty()) {
    const Death first = deaths_.front();
    deaths_.erase(deaths_.begin());
    return first;
  }
  return ReceiveDeath();
}

Result<std::optional<Death>> FamilyLink::ReceiveDeath() {
  for (;;) {
    FamilyEvent event;
    const Result<FdMessage> got =
        ReceiveWithFds(socket_.get(), WritableBytesOf(event), MSG_DONTWAIT);
    if (!got && got.error().system_errno == EAGAIN) return std::nullopt;
    if (!got) return std::unexpected(got.error());
    if (got->size != sizeof event) return Fail(ErrorCode::kSystem, "its family process died");
    if (event.kind == FamilyEvent::kDeath) return event.death;
  }
}

Result<bool> FamilyLink::HasLost() {
  const Result<std::optional<Death>> death = ReceiveDeath();
  if (!death) return std::unexpected(death.error());
  if (*death) deaths_.push_back(**death);
  return !deaths_.empty();
}

Status FamilyLink::Give(const ForkGift& gift) {
  FamilyRequest request;
  request.gift = ++gifts_;
  request.copies = gift.copies;
  request.copy_runs = gift.copy_runs;
  std::vector<int> fds;
  for (uint32_t part = 0; part < control::kForkParts; ++part) {
    if (!gift.parts[part].valid()) continue;
    request.parts |= 1U << part;
    fds.push_back(gift.parts[part].get());
  }
  if (gift.copy_link.valid()) fds.push_back(gift.copy_link.get());
  return SendWithFds(socket_.get(), BytesOf(request), fds);
}

Result<pid_t> FamilyLink::AwaitCopies(Deadline deadline) {
  while (AwaitReadable(socket_.get(), deadline)) {
    FamilyEvent event;
    const Result<FdMessage> got = ReceiveWithFds(socket_.get(), WritableBytesOf(event), 0);
    if (!got) return std::unexpected(got.error());
    if (got->size != sizeof event) return Fail(ErrorCode::kSystem, "its family process died");
    if (event.kind == FamilyEvent::kDeath) deaths_.push_back(event.death);
    if (event.gift != gifts_) continue;
    if (event.kind == FamilyEvent::kFailed) return Fail(ErrorCode::kSystem, event.text);
    if (event.kind == FamilyEvent::kCopied) return event.group;
  }
  return Fail(ErrorCode::kSystem, "not every process was cloned in time");
}

void FamilyLink::TakeBack() {
  FamilyRequest request;
  request.kind = FamilyRequest::kTakeBack;
  (void)SendWithFds(socket_.get(), BytesOf(request), {});
}

Status FamilyLink::Stop() {
  FamilyRequest request;
  request.kind = FamilyRequest::kStop;
  return SendWithFds(socket_.get(), BytesOf(request), {});
}

Status FamilyLink::Continue() {
  FamilyRequest request;
  request.kind = FamilyRequest::kContinue;
  return SendWithFds(socket_.get(), BytesOf(request), {});
}

void FamilyLink::End() {
  if (!socket_.valid()) return;
  (void)shutdown(socket_.get(), SHUT_WR);
  const Deadline deadline = steady_clock::now() + kEndTime;
  while (AwaitReadable(socket_.get(), deadline)) {
    FamilyEvent event;
    const Result<FdMessage> got = ReceiveWithFds(socket_.get(), WritableBytesOf(event), 0);
    if (!got || got->size == 0) break;
  }
  socket_.reset();
}

std::vector<pid_t> FamilyLink::ListProcesses() const {
  std::vector<pid_t> pids;
  for (const pid_t pid : ListChildrenOf(family_)) {
    if (getpgid(pid) == group_) pids.push_back(pid);
  }
  return pids;
}

}  // namespace cordon::backend
