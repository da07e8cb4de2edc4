#include "client/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/fd_message.h"
#include "base/spawn.h"
#include "base/unix_address.h"
#include "base/write_all.h"
#include "client/answers.h"

namespace cordon::client {
namespace {

constexpr size_t kMostMessage = size_t{256} << 20;

Error Gone() {
  return {ErrorCode::kSystem, "the daemon has ended", {}, 0};
}

std::string ProgramOr(const std::string& given) {
  if (!given.empty()) return given;
  const char* named = getenv("CORDON");
  return named != nullptr && named[0] != '\0' ? named : "cordon";
}

Error InHandler() {
  return {ErrorCode::kInvalid, "a handler may not wait for its connection", {}, 0};
}

Json Request(int64_t id, const char* method, Json params) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
}

// `cordon serve --stdio` with this as both streams. It ends when the other end is closed.
Result<pid_t> StartDaemon(const std::string& program, int socket) {
  Spawn spawn;
  CORDON_TRY(spawn.Give(socket, STDIN_FILENO));
  CORDON_TRY(spawn.Give(socket, STDOUT_FILENO));
  // A Ctrl-C of the terminal is for the client.
  spawn.LeadGroup();
  return spawn.Start(program, {program, "serve", "--stdio"}, Spawn::Environment::kOurs);
}

}  // namespace

Connection::Connection(OwnedFd socket, pid_t daemon)
    : socket_(std::move(socket)), daemon_(daemon), reader_([this] { Read(); }) {}

Connection::~Connection() {
  (void)shutdown(socket_.get(), SHUT_RDWR);
  reader_.join();
  extensions_.Join();
  socket_.reset();
  while (daemon_ > 0 && waitpid(daemon_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<std::shared_ptr<Connection>> Connection::Start(const std::string& program) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair(AF_UNIX)");
  }
  OwnedFd own(ends[0]);
  const OwnedFd other(ends[1]);
  const Result<pid_t> daemon = StartDaemon(ProgramOr(program), other.get());
  if (!daemon) return std::unexpected(daemon.error());
  return std::shared_ptr<Connection>(new Connection(std::move(own), *daemon));
}

Result<std::shared_ptr<Connection>> Connection::Connect(const std::string& path) {
  const Result<sockaddr_un> address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket(AF_UNIX)");
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return SystemError("connect(" + path + ")");
  }
  return std::shared_ptr<Connection>(new Connection(std::move(socket), -1));
}

Result<Json> Connection::Ask(const char* method, Json params, const Manner& manner) {
  Waiting waiting = {.manner = manner};
  return AskAs(method, std::move(params), waiting);
}

Result<OwnedFd> Connection::AskTaking(const char* method, Json params) {
  const Manner manner;
  Waiting waiting = {.manner = manner, .takes = true};
  const Result<Json> answer = AskAs(method, std::move(params), waiting);
  if (!answer) return std::unexpected(answer.error());
  if (!waiting.taken.valid()) {
    return Fail(ErrorCode::kInternal, std::string(method) + ": no descriptor came");
  }
  return std::move(waiting.taken);
}

Status Connection::Spawn(Json params, const std::shared_ptr<Running>& running) {
  Manner manner;
  manner.known = [&](const Json& answer) {
    const std::scoped_lock guard(lock_);
    running->id = answer.value("processId", uint32_t{0});
    running_[running->id] = running;
  };
  const Result<Json> started = Ask("spawn", std::move(params), manner);
  return started ? Status() : std::unexpected(started.error());
}

Result<CommandResult> Connection::Wait(Running& running) {
  if (std::this_thread::get_id() == reader_.get_id()) return std::unexpected(InHandler());
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] { return running.end.has_value(); });
  return *running.end;
}

void Connection::Send(const Json& message, int file) {
  const std::string packed = rpc::Encode(message, rpc::Form::kPacked);
  std::string_view left = packed;
  const std::scoped_lock guard(send_lock_);
  bool sent = true;
  if (file >= 0) {
    const auto first = std::as_bytes(std::span(left)).first(1);
    sent = SendWithFds(socket_.get(), first, {&file, 1}).has_value();
    left.remove_prefix(1);
  }
  // Whether it was sent, the reader knows: it sees the end, too.
  if (!sent || !SendAll(socket_.get(), left)) (void)shutdown(socket_.get(), SHUT_RDWR);
}

void Connection::Answer(const Json& message) {
  Send(message);
}

void Connection::Cancel(const Json& sandbox, int64_t request) {
  int64_t id = 0;
  {
    const std::scoped_lock guard(lock_);
    id = ++last_id_;
  }
  Send(Request(id, "cancel", {{"sandboxId", sandbox}, {"requestId", request}}));
}

Result<Json> Connection::AskAs(const char* method, Json params, Waiting& waiting) {
  if (std::this_thread::get_id() == reader_.get_id()) return std::unexpected(InHandler());
  const std::stop_token& stop = waiting.manner.stop;
  const Json sandbox = params.value("sandboxId", Json());
  int64_t id = 0;
  {
    const std::scoped_lock guard(lock_);
    if (ended_) return std::unexpected(Gone());
    id = ++last_id_;
    waiting_[id] = &waiting;
  }
  Send(Request(id, method, std::move(params)), waiting.manner.given);
  // Whoever stops it may be a handler, which must not wait for the socket: it is told from here.
  const std::stop_callback wakes(stop, [this] {
    const std::scoped_lock guard(lock_);
    changed_.notify_all();
  });
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] { return waiting.answer.has_value() || stop.stop_requested(); });
  if (!waiting.answer) {
    guard.unlock();
    Cancel(sandbox, id);
    guard.lock();
    changed_.wait(guard, [&] { return waiting.answer.has_value(); });
  }
  return std::move(*waiting.answer);
}

void Connection::Read() {
  std::string buffer(size_t{256} << 10, '\0');
  rpc::PackReader messages(kMostMessage);
  for (;;) {
    Result<FdMessage> got =
        ReceiveWithFds(socket_.get(), std::as_writable_bytes(std::span(buffer)), 0);
    if (!got || got->size == 0) return EndAll();
    for (OwnedFd& file : got->fds) files_.push_back(std::move(file));
    messages.Add({buffer.data(), got->size});
    while (const auto message = messages.Next()) {
      Take(Json::from_msgpack(message->text, /*strict=*/true, /*allow_exceptions=*/false));
    }
  }
}

void Connection::Take(const Json& message) {
  if (!message.is_object()) return;
  const auto method = message.find("method");
  if (method == message.end()) return TakeAnswer(message);
  if (!method->is_string()) return;
  const auto name = method->get<std::string>();
  if (message.contains("id")) return TakeRequest(name, message);
  TakeNotification(name, message.value("params", Json::object()));
}

void Connection::TakeRequest(const std::string& method, const Json& message) {
  if (method == "extension.invoke") {
    return extensions_.Invoke(message.value("id", ""), message.value("params", Json::object()));
  }
  Answer({{"jsonrpc", "2.0"},
          {"id", message["id"]},
          {"error", {{"code", -32601}, {"message", "Method not found: " + method}}}});
}

void Connection::TakeNotification(const std::string& method, const Json& params) {
  if (method == "output" || method == "exit" || method == "package.progress") {
    TakeCommandNews(method, params);
  } else if (method == "extension.cancel") {
    extensions_.Cancel(params.value("callId", ""));
  } else {
    listeners_.Take(method, params);
  }
}

void Connection::TakeCommandNews(const std::string& method, const Json& params) {
  std::shared_ptr<Running> running;
  const OutputHandler* on_output = nullptr;
  const LineHandler* on_progress = nullptr;
  {
    const std::scoped_lock guard(lock_);
    const auto process = running_.find(params.value("processId", uint32_t{0}));
    const auto request = waiting_.find(params.value("requestId", int64_t{0}));
    // The thread that waits for this request, and with it the handler, stays until the answer.
    if (request != waiting_.end()) {
      on_output = request->second->manner.on_output;
      on_progress = request->second->manner.on_progress;
    }
    if (process != running_.end()) {
      running = process->second;
      if (running->on_output) on_output = &running->on_output;
    }
    if (running && method == "exit") {
      const Json error = params.value("error", Json());
      running->end = error.is_null() ? Result<CommandResult>(ResultOf(params))
                                     : Fail(ErrorCode::kSystem, TextOf(params, "error"));
      running_.erase(process);
      changed_.notify_all();
      return;
    }
  }
  if (method == "output" && on_output != nullptr) {
    (*on_output)(params.value("stream", "") == "stderr" ? Stream::kError : Stream::kOut,
                 TextOf(params, "data"));
  } else if (method == "package.progress" && on_progress != nullptr) {
    (*on_progress)(TextOf(params, "text"));
  }
}

void Connection::TakeAnswer(const Json& message) {
  Waiting* waiting = nullptr;
  {
    const std::scoped_lock guard(lock_);
    auto found = waiting_.extract(message.value("id", int64_t{0}));
    if (found.empty()) return;
    waiting = found.mapped();
  }
  Result<Json> answer = message.value("result", Json::object());
  if (const auto error = message.find("error"); error != message.end()) {
    answer = std::unexpected(RefusalOf(*error));
  } else {
    if (waiting->manner.known) waiting->manner.known(*answer);
    if (waiting->takes && !files_.empty()) {
      waiting->taken = std::move(files_.front());
      files_.pop_front();
    }
  }
  const std::scoped_lock guard(lock_);
  waiting->answer = std::move(answer);
  changed_.notify_all();
}

void Connection::EndAll() {
  {
    const std::scoped_lock guard(lock_);
    ended_ = true;
    for (const auto& [id, waiting] : std::exchange(waiting_, {})) {
      waiting->answer = std::unexpected(Gone());
    }
    for (const auto& [id, running] : std::exchange(running_, {})) {
      running->end = std::unexpected(Gone());
    }
    changed_.notify_all();
  }
  extensions_.Stop();
}

}  // namespace cordon::client
