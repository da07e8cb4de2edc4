#include "rpc/client.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "base/fd_message.h"
#include "rpc/call.h"

namespace cordon::rpc {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// Beyond this nothing more is read from the client, and streams wait.
constexpr size_t kMostOutgoing = size_t{4} << 20;
constexpr size_t kMostRequests = 256;
// That came and that nobody took: more are closed.
constexpr size_t kMostFiles = 8;

void FreeBlob(SandboxLink& link, int64_t id) {
  link.Ask({live::Kind::kBlobFree, 0, {id}, {}}, [](const live::Frame&) { return true; });
}

bool IsUnixSocket(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

}  // namespace

Client::Client(Server& owner, OwnedFd input, OwnedFd output)
    : server(owner),
      input_(owner.loop(), input.release()),
      output_(owner.loop(), output.release()),
      buffer_(kReadBytes, '\0'),
      lines_(owner.options().max_request_bytes),
      packs_(owner.options().max_request_bytes),
      is_socket_(IsUnixSocket(input_.native_handle()) && IsUnixSocket(output_.native_handle())) {}

void Client::Start() {
  Read();
}

void Client::Read() {
  if (reads_ || closed_) return;
  if (outgoing_.size() + writing_.size() > kMostOutgoing || requests > kMostRequests) return;
  reads_ = true;
  if (is_socket_) return ReadSocket();
  input_.async_read_some(
      asio::buffer(buffer_),
      [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
        self->reads_ = false;
        if (self->closed_) return;
        if (error) return self->server.Leave(*self);
        self->TakeBytes({self->buffer_.data(), count});
      });
}

void Client::TakeBytes(std::string_view bytes) {
  if (!form_) form_ = bytes.front() == 0 ? Form::kPacked : Form::kLines;
  *form_ == Form::kLines ? lines_.Add(bytes) : packs_.Add(bytes);
  TakeMessages();
  Read();
}

void Client::ReadSocket() {
  input_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      self->reads_ = false;
                      if (self->closed_) return;
                      Result<FdMessage> got = FdMessage();
                      if (!error) {
                        got = ReceiveWithFds(self->input_.native_handle(),
                                             std::as_writable_bytes(std::span(self->buffer_)),
                                             MSG_DONTWAIT);
                      }
                      if (!got && got.error().system_errno == EAGAIN) return self->Read();
                      if (error || !got || got->size == 0) return self->server.Leave(*self);
                      for (OwnedFd& file : got->fds) {
                        if (self->arrived_.size() < kMostFiles) {
                          self->arrived_.push_back(std::move(file));
                        }
                      }
                      self->TakeBytes({self->buffer_.data(), got->size});
                    });
}

OwnedFd Client::TakeFile() {
  if (arrived_.empty()) return {};
  OwnedFd file = std::move(arrived_.front());
  arrived_.pop_front();
  return file;
}

std::optional<Arrived> Client::NextMessage() {
  return *form_ == Form::kLines ? lines_.Next() : packs_.Next();
}

void Client::TakeMessages() {
  while (!closed_) {
    const std::optional<Arrived> arrived = NextMessage();
    if (!arrived) return;
    if (arrived->is_too_long) {
      Send(ErrorMessage(nullptr, {kParseError, "Request too large", {}}));
      continue;
    }
    Parsed parsed = ParseRequest(arrived->text, *form_);
    if (parsed.reply) {
      // It may end this connection's sandbox, and with it what else is asked.
      const auto asked = asked_.extract(parsed.reply->id);
      if (!asked.empty()) asked.mapped()(*parsed.reply);
      continue;
    }
    if (!parsed.request) {
      Send(ErrorMessage(parsed.id, parsed.error));
      continue;
    }
    Dispatch(shared_from_this(), std::move(*parsed.request));
  }
}

void Client::Send(Json message) {
  if (closed_) return;
  outgoing_ += Encode(std::move(message), form_.value_or(Form::kLines));
  if (writing_.empty()) Write();
}

void Client::SendWithFile(Json message, OwnedFd file) {
  if (closed_) return;
  files_.push_back({outgoing_.size(), std::move(file)});
  Send(std::move(message));
}

std::string Client::Ask(const char* method, const Json& params, ReplyHandler then) {
  std::string id = "cb_" + std::to_string(++last_asked_);
  asked_[id] = std::move(then);
  Send(RequestMessage(id, method, params));
  return id;
}

// What is before a descriptor's byte was written: now both. False: there is no room for them yet.
bool Client::WriteFile() {
  const int file = files_.front().file.get();
  const Status sent =
      SendWithFds(output_.native_handle(), std::as_bytes(std::span(outgoing_)).first(1), {&file, 1},
                  MSG_DONTWAIT);
  if (!sent && sent.error().system_errno == EAGAIN) {
    writing_ = "-";  // nobody else writes meanwhile
    output_.async_wait(asio::posix::stream_descriptor::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         self->writing_.clear();
                         if (self->closed_) return;
                         if (error) return self->server.Leave(*self);
                         self->Write();
                       });
    return false;
  }
  // Without it the client finds none, and says so.
  files_.pop_front();
  if (sent) outgoing_.erase(0, 1);
  for (Sent& other : files_) other.before -= sent ? 1 : 0;
  return true;
}

void Client::Write() {
  while (!files_.empty() && files_.front().before == 0) {
    if (!WriteFile()) return;
  }
  writing_ = std::exchange(outgoing_, {});
  if (!files_.empty()) {
    outgoing_ = writing_.substr(files_.front().before);
    writing_.resize(files_.front().before);
    for (Sent& file : files_) file.before -= writing_.size();
  }
  asio::async_write(output_, asio::buffer(writing_),
                    [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                      self->writing_.clear();
                      if (self->closed_) return;
                      if (error) return self->server.Leave(*self);
                      if (!self->outgoing_.empty()) self->Write();
                      if (self->leaves_ && self->writing_.empty()) {
                        return self->server.Leave(*self);
                      }
                      if (self->outgoing_.size() + self->writing_.size() > kMostOutgoing) return;
                      for (const auto& then : std::exchange(self->waiting_, {})) then();
                      self->Read();
                    });
}

void Client::LeaveWhenTold() {
  leaves_ = true;
  if (writing_.empty()) server.Leave(*this);
}

bool Client::IsBehind() const {
  return outgoing_.size() + writing_.size() > kMostOutgoing;
}

void Client::LimitRequests(size_t most_bytes) {
  lines_.SetMost(most_bytes);
  packs_.SetMost(most_bytes);
}

void Client::WhenTaken(std::function<void()> then) {
  if (outgoing_.size() + writing_.size() <= kMostOutgoing) return then();
  waiting_.push_back(std::move(then));
}

void Client::Keep(const std::shared_ptr<SandboxLink>& link, int64_t blob) {
  LetGo(link, blob);
  if (closed_) return FreeBlob(*link, blob);
  blobs_.push_back({link, blob});
}

void Client::LetGo(const std::shared_ptr<SandboxLink>& link, int64_t blob) {
  std::erase_if(blobs_, [&](const Blob& one) {
    const auto known = one.link.lock();
    return !known || (known == link && one.id == blob);
  });
}

void Client::Close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  input_.close(ignored);
  output_.close(ignored);
  waiting_.clear();
  asked_.clear();
  files_.clear();
  arrived_.clear();
  processes.clear();
  for (const auto& [id, watch] : std::exchange(watches, {})) EndWatch(watch);
  for (const Blob& blob : std::exchange(blobs_, {})) {
    if (const auto link = blob.link.lock()) FreeBlob(*link, blob.id);
  }
}

}  // namespace cordon::rpc
