#include "rpc/sandbox_link.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "base/fd_message.h"

namespace cordon::rpc {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr int kSocket = 3;
constexpr int kForks = 4;

// The two connections with a keeper.
struct Connections {
  OwnedFd own, own_forks, other, other_forks;
};
Result<Connections> Connect() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair");
  }
  Connections made;
  made.own.reset(ends[0]);
  made.other.reset(ends[1]);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair");
  }
  made.own_forks.reset(ends[0]);
  made.other_forks.reset(ends[1]);
  return made;
}

// In the new process, which has the daemon's memory and nothing else of it: none of its
// descriptors, none of its signal handlers. It ends with the daemon.
[[noreturn]] void BecomeKeeper(const live::LiveOptions& options, const Connections& with,
                               pid_t daemon) {
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    (void)signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != daemon) _exit(125);
  constexpr int kAboveBoth = 16;
  const int socket = fcntl(with.other.get(), F_DUPFD, kAboveBoth);
  const int forks = fcntl(with.other_forks.get(), F_DUPFD, kAboveBoth);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(socket, kSocket) < 0 ||
      dup2(forks, kForks) < 0 || fcntl(kSocket, F_SETFD, FD_CLOEXEC) != 0 ||
      fcntl(kForks, F_SETFD, FD_CLOEXEC) != 0 ||
      syscall(SYS_close_range, kForks + 1, ~0U, 0) != 0) {
    _exit(125);
  }
  live::RunLiveSandbox(options, OwnedFd(kSocket), OwnedFd(kForks));
  _exit(0);
}

}  // namespace

SandboxLink::SandboxLink(asio::io_context& loop, OwnedFd socket, OwnedFd forks)
    : socket_(loop, socket.release()),
      forks_(std::move(forks)),
      buffer_(std::make_unique_for_overwrite<char[]>(kReadBytes)) {
  socket_.non_blocking(true);
}

Result<std::shared_ptr<SandboxLink>> SandboxLink::Start(asio::io_context& loop,
                                                        const live::LiveOptions& options,
                                                        Handler on_ready) {
  Result<Connections> with = Connect();
  if (!with) return std::unexpected(with.error());
  const pid_t daemon = getpid();
  // Not through a program of its own: the keeper is this program, and has nothing to be kept from.
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid == 0) BecomeKeeper(options, *with, daemon);
  // Reaped by whoever waits for children; its number may be somebody else's then.
  OwnedFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  std::shared_ptr<SandboxLink> link(
      new SandboxLink(loop, std::move(with->own), std::move(with->own_forks)));
  link->pidfd_ = std::move(pidfd);
  link->handlers_[0] = std::move(on_ready);
  link->Read();
  return link;
}

Result<std::vector<std::shared_ptr<SandboxLink>>> SandboxLink::ForkMany(
    asio::io_context& loop, std::vector<ForkHandlers> handlers) {
  std::vector<Connections> connections;
  std::vector<int> given;
  for (size_t i = 0; i < handlers.size(); ++i) {
    Result<Connections> with = Connect();
    if (!with) return std::unexpected(with.error());
    given.push_back(with->other.get());
    given.push_back(with->other_forks.get());
    connections.push_back(std::move(*with));
  }
  ++last_fork_;
  for (size_t sent = 0; sent < given.size(); sent += kMaxMessageFds) {
    const std::span all(given);
    CORDON_TRY(SendWithFds(forks_.get(), BytesOf(last_fork_),
                           all.subspan(sent, std::min(kMaxMessageFds, given.size() - sent))));
  }
  // A fork that is refused closes its sockets before the reason arrives.
  const auto answered = std::make_shared<bool>(false);
  std::vector<std::shared_ptr<SandboxLink>> links;
  for (size_t i = 0; i < handlers.size(); ++i) {
    std::shared_ptr<SandboxLink> link(
        new SandboxLink(loop, std::move(connections[i].own), std::move(connections[i].own_forks)));
    link->handlers_[0] = [answered,
                          on_ready = std::move(handlers[i].on_ready)](const live::Frame& frame) {
      return (frame.kind == live::Kind::kDead && !*answered) || on_ready(frame);
    };
    link->Read();
    links.push_back(std::move(link));
  }
  Ask({live::Kind::kFork, 0, {static_cast<int64_t>(links.size()), last_fork_}, {}},
      [links, answered, handlers = std::move(handlers)](const live::Frame& frame) {
        *answered = true;
        const int64_t made = frame.kind == live::Kind::kAnswer ? frame.arg[0] : 0;
        for (size_t i = 0; i < links.size(); ++i) {
          const bool is_made = static_cast<int64_t>(i) < made;
          if (is_made && !links[i]->closed()) continue;
          handlers[i].on_refusal(is_made ? links[i]->end_reason() : frame.payload);
          links[i]->Close();
        }
        return true;
      });
  return links;
}

Result<std::shared_ptr<SandboxLink>> SandboxLink::Fork(
    asio::io_context& loop, Handler on_ready, std::function<void(std::string)> on_refusal) {
  std::vector<ForkHandlers> handlers;
  handlers.push_back({std::move(on_ready), std::move(on_refusal)});
  Result<std::vector<std::shared_ptr<SandboxLink>>> links = ForkMany(loop, std::move(handlers));
  if (!links) return std::unexpected(links.error());
  return std::move(links->front());
}

SandboxLink::~SandboxLink() {
  Close();
}

uint32_t SandboxLink::Ask(live::Frame frame, Handler handler) {
  if (++last_id_ == 0) ++last_id_;
  frame.id = last_id_;
  if (closed_) {
    // Whoever asks is told as those are who asked before, and never while it asks.
    asio::post(socket_.get_executor(), [handler = std::move(handler), reason = end_reason_] {
      (void)handler({live::Kind::kDead, 0, {}, reason});
    });
    return frame.id;
  }
  handlers_[frame.id] = std::move(handler);
  Tell(frame);
  return frame.id;
}

Status SandboxLink::GiveFile(int fd) {
  return SendWithFds(forks_.get(), {}, {&fd, 1}, MSG_DONTWAIT);
}

Result<OwnedFd> SandboxLink::TakeFile() {
  std::byte nothing{};
  Result<FdMessage> message = ReceiveWithFds(forks_.get(), {&nothing, 1}, MSG_DONTWAIT);
  if (!message) return std::unexpected(message.error());
  if (message->fds.size() != 1) return Fail(ErrorCode::kInternal, "no archive came");
  return std::move(message->fds[0]);
}

void SandboxLink::Tell(const live::Frame& frame) {
  if (closed_) return;
  outgoing_ += live::Encode(frame);
  if (writing_.empty()) Write();
}

void SandboxLink::Write() {
  // At once, if there is room: the usual request is one small frame.
  const ssize_t done = send(socket_.native_handle(), outgoing_.data(), outgoing_.size(),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
  if (done > 0) outgoing_.erase(0, static_cast<size_t>(done));
  if (outgoing_.empty()) return;
  writing_ = std::exchange(outgoing_, {});
  asio::async_write(socket_, asio::buffer(writing_),
                    [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                      self->writing_.clear();
                      if (error || self->closed_) return;
                      if (!self->outgoing_.empty()) self->Write();
                    });
}

void SandboxLink::Read() {
  socket_.async_read_some(
      asio::buffer(buffer_.get(), kReadBytes),
      [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
        if (self->closed_) return;
        if (error) return self->End("the sandbox's keeper ended");
        self->frames_.Add({self->buffer_.get(), count});
        self->TakeFrames();
        if (!self->closed_) self->Read();
      });
}

void SandboxLink::TakeFrames() {
  for (;;) {
    const Result<std::optional<live::Frame>> frame = frames_.Next();
    if (!frame) return End(frame.error().ToString());
    if (!*frame) return;
    // The keeper of a fork is a child of another one.
    if ((*frame)->kind == live::Kind::kReady && !pidfd_.valid()) {
      pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, (*frame)->arg[0], 0)));
    }
    if ((*frame)->kind == live::Kind::kDead) return End((*frame)->payload);
    if ((*frame)->kind == live::Kind::kUse) {
      live::SandboxUse use = {};
      const bool is_whole = live::PayloadReader((*frame)->payload).Take(&use);
      if (hear_use_ && is_whole) hear_use_(use, (*frame)->arg[0] != 0);
      if (closed_) return;
      continue;
    }
    const auto found = handlers_.find((*frame)->id);
    if (found == handlers_.end()) continue;
    // It may ask for something else, or close this link; whoever heard the last frame hears no
    // more.
    auto handler = handlers_.extract(found);
    const bool was_last = handler.mapped()(**frame);
    if (!was_last && closed_) (void)handler.mapped()({live::Kind::kDead, 0, {}, end_reason_});
    if (closed_) return;
    if (!was_last) handlers_.insert(std::move(handler));
  }
}

void SandboxLink::End(const std::string& reason) {
  if (std::exchange(closed_, true)) return;
  end_reason_ = reason;
  boost::system::error_code ignored;
  socket_.close(ignored);
  const live::Frame dead = {live::Kind::kDead, 0, {}, reason};
  for (const auto& [id, handler] : std::exchange(handlers_, {})) (void)handler(dead);
}

void SandboxLink::Close() {
  EndFor("Sandbox has been destroyed");
}

void SandboxLink::EndFor(const std::string& reason) {
  if (closed_) return;
  // Its family process ends what it kept.
  (void)syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  End(reason);
}

void SandboxLink::WhenGone(std::function<void()> then) {
  const auto end = std::make_shared<asio::posix::stream_descriptor>(socket_.get_executor());
  OwnedFd pidfd(fcntl(pidfd_.get(), F_DUPFD_CLOEXEC, 0));
  boost::system::error_code failed;
  end->assign(pidfd.get(), failed);
  // Without a descriptor left nobody can be waited for.
  if (failed) return then();
  (void)pidfd.release();
  end->async_wait(asio::posix::stream_descriptor::wait_read,
                  [end, then = std::move(then)](const boost::system::error_code&) { then(); });
}

std::optional<control::Usage> ReadUsage(const live::Frame& frame) {
  live::PayloadReader reader(frame.payload);
  control::Usage usage = {};
  const bool answered = frame.kind == live::Kind::kAnswer && frame.arg[0] >= 0;
  return answered && reader.Take(&usage) ? std::optional(usage) : std::nullopt;
}

}  // namespace cordon::rpc
