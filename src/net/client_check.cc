#include "net/client_check.h"

#include <algorithm>

#include "net/client_hello.h"

namespace cordon::net {
namespace {

constexpr std::string_view kHttp = "http";

// "HTTP/", whatever follows.
bool NamesHttp(std::string_view line) {
  for (size_t at = line.find('/'); at != std::string_view::npos; at = line.find('/', at + 1)) {
    const size_t size = std::min(at, kHttp.size());
    if (EqualsIgnoringCase(line.substr(at - size, size), kHttp)) return true;
  }
  return false;
}

}  // namespace

ClientCheck::ClientCheck(std::vector<std::string> names, uint16_t port)
    : names_(std::move(names)),
      is_web_(port == 80 || port == 443),
      http_([this](const std::string& name) { return MayAsk(name); }) {}

bool ClientCheck::MayAsk(const std::string& name) {
  asked_ = name;
  if (std::ranges::find(names_, name) != names_.end()) return true;
  reason_ = "asks for " + name + " at an address of " + names_.front();
  return false;
}

// A line that begins with a word and has the name of the protocol in it, or is the oldest form of
// a request, which has not. Whatever else is in it: what some server would take for a request is
// read as one, and then strictly.
ClientCheck::Likeness ClientCheck::LikenessToHttp() const {
  // Where servers cut a line, Python's among them.
  constexpr std::string_view kBlanks = " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0";
  constexpr size_t kMaxMethod = 32;
  constexpr size_t kMaxLine = 16384;
  const Likeness so_far = held_.size() > kMaxLine ? Likeness::kYes : Likeness::kMaybe;
  std::string_view line(reinterpret_cast<const char*>(held_.data()), held_.size());
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  if (line.empty()) return so_far;
  const std::string_view method = line.substr(0, line.find_first_of(kBlanks));
  if (method.size() > kMaxMethod || !IsHttpToken(method)) return Likeness::kNo;
  const size_t end = line.find('\n');
  line = line.substr(0, end);
  if (NamesHttp(line)) return Likeness::kYes;
  if (end == std::string_view::npos) return so_far;
  line.remove_prefix(method.size());
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const bool is_oldest =
      EqualsIgnoringCase(method, "get") &&
      (line.starts_with('/') || EqualsIgnoringCase(line.substr(0, kHttp.size()), kHttp));
  return is_oldest ? Likeness::kYes : Likeness::kNo;
}

void ClientCheck::Recognise() {
  constexpr uint8_t kHandshake = 22;
  const Likeness http = is_web_ ? Likeness::kYes : LikenessToHttp();
  if (held_[0] == kHandshake) {
    protocol_ = Protocol::kTls;
  } else if (http == Likeness::kYes) {
    protocol_ = Protocol::kHttp;
  } else if (http == Likeness::kNo) {
    protocol_ = Protocol::kAny;
  }
}

ClientCheck::State ClientCheck::Refuse(std::string reason) {
  if (reason_.empty()) reason_ = std::move(reason);
  ready_.clear();
  return State::kRefuse;
}

ClientCheck::State ClientCheck::SendFirst(size_t size) {
  const auto begin = held_.begin();
  ready_.assign(begin + static_cast<std::ptrdiff_t>(std::min(sent_, size)),
                begin + static_cast<std::ptrdiff_t>(size));
  held_.erase(begin, begin + static_cast<std::ptrdiff_t>(size));
  sent_ = 0;
  return State::kSend;
}

ClientCheck::State ClientCheck::SendAll() {
  protocol_ = Protocol::kAny;
  return SendFirst(held_.size());
}

ClientCheck::State ClientCheck::LookAtHello() {
  const ClientHello hello = ParseClientHello(held_);
  switch (hello.state) {
    case ClientHello::State::kIncomplete:
      return State::kHold;
    case ClientHello::State::kNotTls:
      return is_web_ ? Refuse("neither TLS nor HTTP") : SendAll();
    case ClientHello::State::kBroken:
      return Refuse("TLS that is not understood");
    case ClientHello::State::kComplete:
      break;
  }
  if (hello.has_encrypted_hello) return Refuse("TLS that may hide whom it asks for");
  if (hello.server_name.empty()) return Refuse("TLS that does not say whom it asks for");
  return MayAsk(hello.server_name) ? SendAll() : Refuse({});
}

ClientCheck::State ClientCheck::LookAtRequests() {
  const std::string_view said(reinterpret_cast<const char*>(held_.data()), held_.size());
  const size_t size = http_.Pass(said);
  if (!http_.error().empty()) return Refuse(http_.error());
  return size == 0 ? State::kHold : SendFirst(size);
}

ClientCheck::State ClientCheck::Look(std::span<const uint8_t> bytes) {
  ready_.clear();
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  if (protocol_ == Protocol::kUnknown) Recognise();
  switch (protocol_) {
    case Protocol::kTls:
      return LookAtHello();
    case Protocol::kHttp:
      return LookAtRequests();
    case Protocol::kUnknown:
      // A server does nothing for half a line, and others wait for no more than this.
      ready_.assign(held_.begin() + static_cast<std::ptrdiff_t>(sent_), held_.end());
      sent_ = held_.size();
      return State::kSend;
    case Protocol::kAny:
      break;
  }
  return SendAll();
}

}  // namespace cordon::net
