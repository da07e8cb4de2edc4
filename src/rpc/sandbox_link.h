#ifndef CORDON_RPC_SANDBOX_LINK_H_
#define CORDON_RPC_SANDBOX_LINK_H_

// The daemon's end of one sandbox: the process of its keeper and the socket to it.

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/control.h"
#include "live/frame.h"
#include "live/live_sandbox.h"

namespace cordon::rpc {

namespace asio = boost::asio;

// What the sandbox uses, if this frame, which answered a kUsage, says it.
[[nodiscard]] std::optional<control::Usage> ReadUsage(const live::Frame& frame);

class SandboxLink : public std::enable_shared_from_this<SandboxLink> {
 public:
  // Called with every frame that bears the request's id, and with kDead when the sandbox ends
  // before the last of them. True: it was the last.
  using Handler = std::function<bool(const live::Frame&)>;

  // Forks the keeper. `on_ready` hears kReady or kDead.
  [[nodiscard]] static Result<std::shared_ptr<SandboxLink>> Start(asio::io_context& loop,
                                                                  const live::LiveOptions& options,
                                                                  Handler on_ready);
  ~SandboxLink();

  // `on_ready` hears kReady of a fork, or kDead; `on_refusal` why there is none, and then
  // `on_ready` hears nothing.
  struct ForkHandlers {
    Handler on_ready;
    std::function<void(std::string)> on_refusal;
  };
  // Has the sandbox forked so many times, at most live::kMostForksAtOnce, all at the same moment of
  // it. Each fork is there or refused by itself. An error: nobody was asked.
  [[nodiscard]] Result<std::vector<std::shared_ptr<SandboxLink>>> ForkMany(
      asio::io_context& loop, std::vector<ForkHandlers> handlers);
  [[nodiscard]] Result<std::shared_ptr<SandboxLink>> Fork(
      asio::io_context& loop, Handler on_ready, std::function<void(std::string)> on_refusal);

  // The id of the request.
  uint32_t Ask(live::Frame frame, Handler handler);
  // Descriptors go beside the frames, in their order: what a kBlobGive or kExportFile is about,
  // before it, and what came before the answer to a kBlobTake.
  [[nodiscard]] Status GiveFile(int fd);
  [[nodiscard]] Result<OwnedFd> TakeFile();
  // About an earlier request.
  void Tell(const live::Frame& frame);
  // Everything in the sandbox ends.
  void Close();
  // The same, and all who wait for something hear why.
  void EndFor(const std::string& reason);
  // Calls `then` when a keeper that was ended is gone, and with it what it had of the host.
  void WhenGone(std::function<void()> then);
  // Hears what it has, when its keeper says so; `asked`: because of a kTellUse.
  using UseListener = std::function<void(const live::SandboxUse& use, bool asked)>;
  void ListenToUse(UseListener listener) { hear_use_ = std::move(listener); }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }

 private:
  SandboxLink(asio::io_context& loop, OwnedFd socket, OwnedFd forks);
  void Read();
  void Write();
  void TakeFrames();
  void End(const std::string& reason);

  asio::posix::stream_descriptor socket_;
  OwnedFd forks_;  // sockets for forks go through it
  OwnedFd pidfd_;
  // Only what is read into it exists: there are many of these.
  std::unique_ptr<char[]> buffer_;
  live::FrameReader frames_;
  std::string outgoing_, writing_;
  std::map<uint32_t, Handler> handlers_;
  uint32_t last_id_ = 0;
  UseListener hear_use_;
  uint32_t last_fork_ = 0;  // says which sockets belong to which request
  bool closed_ = false;
  std::string end_reason_;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_SANDBOX_LINK_H_
