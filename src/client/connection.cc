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

namespace cordon::client {
namespace {

constexpr size_t kMostMessage = size_t{256} << 20;

Error Gone() {
  return {ErrorCode::kSystem, "the daemon has ended", {}, 0};
}

// "ENOENT" as a number; 0 if it is none.
int ErrnoOf(const std::string& name) {
  constexpr int kMost = 134;
  for (int number = 1; number < kMost; ++number) {
    const char* known = strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  return 0;
}

std::string ProgramOr(const std::string& given) {
  if (!given.empty()) return given;
  const char* named = getenv("CORDON");
  return named != nullptr && named[0] != '\0' ? named : "cordon";
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

Result<Json> Connection::Ask(const char* method, Json params, const OutputHandler& on_output) {
  Waiting waiting;
  if (on_output) waiting.on_output = &on_output;
  return AskAs(method, std::move(params), waiting);
}

Result<Json> Connection::AskGiving(const char* method, Json params, int file) {
  Waiting waiting;
  waiting.given = file;
  return AskAs(method, std::move(params), waiting);
}

Result<OwnedFd> Connection::AskTaking(const char* method, Json params) {
  Waiting waiting;
  waiting.takes = true;
  const Result<Json> answer = AskAs(method, std::move(params), waiting);
  if (!answer) return std::unexpected(answer.error());
  if (!waiting.taken.valid()) {
    return Fail(ErrorCode::kInternal, std::string(method) + ": no descriptor came");
  }
  return std::move(waiting.taken);
}

Status Connection::Spawn(Json params, const std::shared_ptr<Running>& running) {
  Waiting waiting;
  waiting.running = running;
  const Result<Json> started = AskAs("spawn", std::move(params), waiting);
  return started ? Status() : std::unexpected(started.error());
}

Result<CommandResult> Connection::Wait(Running& running) {
  if (std::this_thread::get_id() == reader_.get_id()) {
    return Fail(ErrorCode::kInvalid, "an output handler may not wait for the connection");
  }
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] { return running.end.has_value(); });
  return *running.end;
}

Result<Json> Connection::AskAs(const char* method, Json params, Waiting& waiting) {
  if (std::this_thread::get_id() == reader_.get_id()) {
    return Fail(ErrorCode::kInvalid, "an output handler may not wait for the connection");
  }
  int64_t id = 0;
  {
    const std::scoped_lock guard(lock_);
    if (ended_) return std::unexpected(Gone());
    id = ++last_id_;
    waiting_[id] = &waiting;
  }
  const std::string message = rpc::Encode(
      {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}},
      rpc::Form::kPacked);
  {
    // Whether it was sent, the reader knows: it sees the end, too.
    const std::scoped_lock guard(send_lock_);
    std::string_view left = message;
    bool sent = true;
    if (waiting.given >= 0) {
      const auto first = std::as_bytes(std::span(left)).first(1);
      sent = SendWithFds(socket_.get(), first, {&waiting.given, 1}).has_value();
      left.remove_prefix(1);
    }
    if (!sent || !SendAll(socket_.get(), left)) (void)shutdown(socket_.get(), SHUT_RDWR);
  }
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] { return waiting.answer.has_value(); });
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
  if (method->is_string()) {
    TakeNotification(method->get<std::string>(), message.value("params", Json::object()));
  }
}

void Connection::TakeNotification(const std::string& method, const Json& params) {
  std::shared_ptr<Running> running;
  const OutputHandler* on_output = nullptr;
  {
    const std::scoped_lock guard(lock_);
    const auto process = running_.find(params.value("processId", uint32_t{0}));
    const auto request = waiting_.find(params.value("requestId", int64_t{0}));
    // The thread that waits for this request, and with it the handler, stays until the answer.
    if (request != waiting_.end()) on_output = request->second->on_output;
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
  if (method != "output" || on_output == nullptr) return;
  (*on_output)(params.value("stream", "") == "stderr" ? Stream::kError : Stream::kOut,
               TextOf(params, "data"));
}

void Connection::TakeAnswer(const Json& message) {
  const std::scoped_lock guard(lock_);
  const auto found = waiting_.find(message.value("id", int64_t{0}));
  if (found == waiting_.end()) return;
  Waiting& waiting = *found->second;
  waiting_.erase(found);
  if (const auto error = message.find("error"); error != message.end()) {
    waiting.answer = std::unexpected(RefusalOf(*error));
  } else {
    waiting.answer = message.value("result", Json::object());
    if (waiting.takes && !files_.empty()) {
      waiting.taken = std::move(files_.front());
      files_.pop_front();
    }
    if (waiting.running) {
      waiting.running->id = waiting.answer->value().value("processId", uint32_t{0});
      running_[waiting.running->id] = waiting.running;
    }
  }
  changed_.notify_all();
}

void Connection::EndAll() {
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

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_binary()) return {found->get_binary().begin(), found->get_binary().end()};
  return found->is_string() ? found->get<std::string>() : std::string();
}

Json BytesOf(std::string_view bytes) {
  return Json::binary({bytes.begin(), bytes.end()});
}

namespace {

CommandUsage UsageOf(const Json& json) {
  const auto number = [&](const char* name) { return json.value(name, uint64_t{0}); };
  return {.cpu_ms = json.value("cpuMs", 0.0),
          .memory_peak_bytes = number("memoryPeakBytes"),
          .processes = number("processes"),
          .stdout_bytes = number("stdoutBytes"),
          .stderr_bytes = number("stderrBytes"),
          .file_read_bytes = number("fileReadBytes"),
          .file_written_bytes = number("fileWrittenBytes")};
}

}  // namespace

Error RefusalOf(const Json& error) {
  Error refusal = {ErrorCode::kInvalid, error.value("message", "refused"), {}, 0};
  const Json data = error.value("data", Json::object());
  if (!data.is_object()) return refusal;
  refusal.system_errno = ErrnoOf(data.value("errno", ""));
  if (refusal.system_errno == 0) return refusal;
  refusal.code = ErrorCode::kSystem;
  // What the number says is said by whoever shows the error.
  const std::string_view text = refusal.message;
  const std::string name = std::string(strerrorname_np(refusal.system_errno)) + ": ";
  const std::string meaning = std::string(": ") + strerror(refusal.system_errno);
  const size_t begin = text.starts_with(name) ? name.size() : 0;
  const size_t end = text.ends_with(meaning) ? text.size() - meaning.size() : text.size();
  if (begin < end) refusal.message = std::string(text.substr(begin, end - begin));
  return refusal;
}

CommandResult ResultOf(const Json& json) {
  const Json truncated = json.value("truncated", Json::object());
  CommandResult result = {
      .exit_code = json.value("exitCode", -1),
      .out = TextOf(json, "stdout"),
      .err = TextOf(json, "stderr"),
      .execution_time_ms = json.value("executionTimeMs", 0.0),
      .out_truncated = truncated.value("stdout", false),
      .err_truncated = truncated.value("stderr", false),
      .signal = json.value("signal", 0),
      .error_class = json.value("errorClass", ""),
      .usage = UsageOf(json.value("usage", Json::object())),
  };
  return result;
}

}  // namespace cordon::client
