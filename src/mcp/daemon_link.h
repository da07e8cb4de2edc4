#ifndef CORDON_MCP_DAEMON_LINK_H_
#define CORDON_MCP_DAEMON_LINK_H_

// A daemon of its own, as a child at the other end of a socket, and the requests to it.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/owned_fd.h"
#include "rpc/message.h"
#include "rpc/server.h"

namespace cordon::mcp {

namespace asio = boost::asio;

class DaemonLink {
 public:
  struct Answer {
    rpc::Json result;   // null when it was refused
    std::string error;  // why
  };
  using AnswerHandler = std::function<void(const Answer&)>;
  using OutputHandler = std::function<void(const rpc::Json& params)>;

  // Forks; before there are threads.
  [[nodiscard]] static Result<std::unique_ptr<DaemonLink>> Start(asio::io_context& loop,
                                                                 const rpc::ServerOptions& options);
  ~DaemonLink();
  DaemonLink(const DaemonLink&) = delete;
  DaemonLink& operator=(const DaemonLink&) = delete;

  // The number that `cancel` knows it by. `output` hears what a streaming command writes.
  int64_t Ask(const char* method, const rpc::Json& params, AnswerHandler then,
              OutputHandler output = {});
  // Called once when the daemon is gone.
  void OnEnd(std::function<void()> then) { on_end_ = std::move(then); }
  // Events of sandboxes that are created with `audit`.
  void OnAudit(OutputHandler then) { on_audit_ = std::move(then); }

 private:
  struct Waiting {
    AnswerHandler then;
    OutputHandler output;
  };
  DaemonLink(asio::io_context& loop, OwnedFd socket, pid_t pid);
  void Read();
  void Write();
  void Take(const std::string& line);
  void End();

  asio::posix::stream_descriptor socket_;
  pid_t pid_;
  std::string buffer_;
  rpc::LineReader lines_;
  std::string outgoing_, writing_;
  std::map<int64_t, Waiting> waiting_;
  int64_t last_id_ = 0;
  std::function<void()> on_end_;
  OutputHandler on_audit_;
};

}  // namespace cordon::mcp

#endif  // CORDON_MCP_DAEMON_LINK_H_
