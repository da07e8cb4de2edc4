#include "mcp/daemon_link.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <csignal>
#include <utility>

namespace cordon::mcp {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
// Of one answer of the daemon, which is this program.
constexpr size_t kMostLine = size_t{256} << 20;

// A Ctrl-C is for the server, which closes the socket.
[[noreturn]] void BecomeDaemon(const rpc::ServerOptions& options, int socket, pid_t parent) {
  (void)setpgid(0, 0);
  // Of the client's descriptors it has none.
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent || dup2(socket, 0) < 0 ||
      dup2(socket, 1) < 0 || syscall(SYS_close_range, 3, ~0U, 0) != 0) {
    _exit(125);
  }
  rpc::Server server(options);
  _exit(server.ServeStdio() ? 0 : 125);
}

}  // namespace

DaemonLink::DaemonLink(asio::io_context& loop, OwnedFd socket, pid_t pid)
    : socket_(loop, socket.release()), pid_(pid), buffer_(kReadBytes, '\0'), lines_(kMostLine) {}

Result<std::unique_ptr<DaemonLink>> DaemonLink::Start(asio::io_context& loop,
                                                      const rpc::ServerOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair");
  }
  OwnedFd own(ends[0]);
  const OwnedFd other(ends[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid == 0) {
    own.reset();
    BecomeDaemon(options, other.get(), parent);
  }
  std::unique_ptr<DaemonLink> link(new DaemonLink(loop, std::move(own), pid));
  link->Read();
  return link;
}

DaemonLink::~DaemonLink() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  // It ends all sandboxes when it sees the end of its input.
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int64_t DaemonLink::Ask(const char* method, const rpc::Json& params, AnswerHandler then,
                        OutputHandler output) {
  const int64_t id = ++last_id_;
  waiting_[id] = {std::move(then), std::move(output)};
  const rpc::Json request = {
      {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  outgoing_ += request.dump(-1, ' ', false, rpc::Json::error_handler_t::replace) + "\n";
  if (writing_.empty()) Write();
  return id;
}

void DaemonLink::Write() {
  writing_ = std::exchange(outgoing_, {});
  asio::async_write(socket_, asio::buffer(writing_),
                    [this](const boost::system::error_code& error, size_t) {
                      if (error == asio::error::operation_aborted) return;
                      writing_.clear();
                      if (error) return End();
                      if (!outgoing_.empty()) Write();
                    });
}

void DaemonLink::Read() {
  socket_.async_read_some(asio::buffer(buffer_),
                          [this](const boost::system::error_code& error, size_t count) {
                            if (error == asio::error::operation_aborted) return;
                            if (error) return End();
                            lines_.Add({buffer_.data(), count});
                            while (const auto line = lines_.Next()) Take(line->text);
                            Read();
                          });
}

void DaemonLink::Take(const std::string& line) {
  const rpc::Json message = rpc::Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object()) return;
  if (message.contains("method")) {
    const rpc::Json params = message.value("params", rpc::Json::object());
    if (message["method"] == "audit") {
      if (on_audit_) on_audit_(params);
      return;
    }
    const auto found = waiting_.find(params.value("requestId", int64_t{0}));
    if (found != waiting_.end() && found->second.output) found->second.output(params);
    return;
  }
  const auto found = waiting_.find(message.value("id", int64_t{0}));
  if (found == waiting_.end()) return;
  const AnswerHandler then = std::move(found->second.then);
  waiting_.erase(found);
  if (message.contains("error")) return then({{}, message["error"].value("message", "refused")});
  then({message.value("result", rpc::Json::object()), {}});
}

void DaemonLink::End() {
  for (const auto& [id, waiting] : std::exchange(waiting_, {})) {
    waiting.then({{}, "the daemon has ended"});
  }
  if (on_end_) on_end_();
}

}  // namespace cordon::mcp
