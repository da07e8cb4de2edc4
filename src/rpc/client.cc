#include "rpc/client.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "rpc/call.h"

namespace cordon::rpc {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// Beyond this nothing more is read from the client, and streams wait.
constexpr size_t kMostOutgoing = size_t{4} << 20;
constexpr size_t kMostRequests = 256;

}  // namespace

Client::Client(Server& owner, OwnedFd input, OwnedFd output)
    : server(owner),
      input_(owner.loop(), input.release()),
      output_(owner.loop(), output.release()),
      buffer_(kReadBytes, '\0'),
      lines_(owner.options().max_request_bytes) {}

void Client::Start() {
  Read();
}

void Client::Read() {
  if (reads_ || closed_) return;
  if (outgoing_.size() + writing_.size() > kMostOutgoing || requests > kMostRequests) return;
  reads_ = true;
  input_.async_read_some(
      asio::buffer(buffer_),
      [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
        self->reads_ = false;
        if (self->closed_) return;
        if (error) return self->server.Leave(*self);
        self->lines_.Add({self->buffer_.data(), count});
        self->TakeLines();
        self->Read();
      });
}

void Client::TakeLines() {
  while (!closed_) {
    std::optional<LineReader::Line> line = lines_.Next();
    if (!line) return;
    if (line->is_too_long) {
      Send(ErrorLine(nullptr, {kParseError, "Request too large", {}}));
      continue;
    }
    Parsed parsed = ParseRequest(line->text);
    if (!parsed.request) {
      Send(ErrorLine(parsed.id, parsed.error));
      continue;
    }
    Dispatch(shared_from_this(), std::move(*parsed.request));
  }
}

void Client::Send(const std::string& line) {
  if (closed_) return;
  outgoing_ += line;
  if (writing_.empty()) Write();
}

void Client::Write() {
  writing_ = std::exchange(outgoing_, {});
  asio::async_write(output_, asio::buffer(writing_),
                    [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                      self->writing_.clear();
                      if (self->closed_) return;
                      if (error) return self->server.Leave(*self);
                      if (!self->outgoing_.empty()) self->Write();
                      if (self->outgoing_.size() + self->writing_.size() > kMostOutgoing) return;
                      for (const auto& then : std::exchange(self->waiting_, {})) then();
                      self->Read();
                    });
}

void Client::WhenTaken(std::function<void()> then) {
  if (outgoing_.size() + writing_.size() <= kMostOutgoing) return then();
  waiting_.push_back(std::move(then));
}

void Client::Close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  input_.close(ignored);
  output_.close(ignored);
  waiting_.clear();
  processes.clear();
}

}  // namespace cordon::rpc
