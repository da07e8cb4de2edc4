#include "net/client_check.h"

#include <algorithm>

#include "net/client_hello.h"

namespace cordon::net {

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

// So far: a word, a blank, and the beginning of what a request may be for.
bool ClientCheck::LooksLikeHttp() const {
  constexpr size_t kMaxMethod = 32;
  const std::string_view said(reinterpret_cast<const char*>(held_.data()), held_.size());
  const size_t blank = std::min(said.find_first_of(" \r\n"), said.size());
  const std::string_view method = said.substr(0, blank);
  const bool is_method = !method.empty() && method.size() <= kMaxMethod &&
                         std::ranges::all_of(method, [](char letter) {
                           return letter > ' ' && letter < '\x7f' && letter != '/';
                         });
  if (!is_method || blank == said.size()) return is_method;
  if (said[blank] != ' ' || method == "CONNECT" || method == "PRI") return said[blank] == ' ';
  return blank + 1 == said.size() || std::string_view("/*hH").contains(said[blank + 1]);
}

void ClientCheck::Recognise() {
  constexpr uint8_t kHandshake = 22;
  if (held_[0] == kHandshake) {
    protocol_ = Protocol::kTls;
  } else if (is_web_ || LooksLikeHttp()) {
    protocol_ = Protocol::kHttp;
  } else {
    protocol_ = Protocol::kAny;
  }
}

ClientCheck::State ClientCheck::Refuse(std::string reason) {
  if (reason_.empty()) reason_ = std::move(reason);
  ready_.clear();
  return State::kRefuse;
}

ClientCheck::State ClientCheck::SendAll() {
  protocol_ = Protocol::kAny;
  ready_ = std::move(held_);
  held_.clear();
  return State::kSend;
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
  if (!http_.error().empty()) {
    return Refuse(http_.error());
  }
  if (size == 0) return State::kHold;
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(size);
  ready_.assign(held_.begin(), end);
  held_.erase(held_.begin(), end);
  return State::kSend;
}

ClientCheck::State ClientCheck::Look(std::span<const uint8_t> bytes) {
  ready_.clear();
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  if (protocol_ == Protocol::kUnknown) Recognise();
  // Began like a request, and is something else.
  if (protocol_ == Protocol::kHttp && !is_web_ && asked_.empty() && !LooksLikeHttp()) {
    return SendAll();
  }
  switch (protocol_) {
    case Protocol::kTls:
      return LookAtHello();
    case Protocol::kHttp:
      return LookAtRequests();
    case Protocol::kUnknown:
    case Protocol::kAny:
      break;
  }
  return SendAll();
}

}  // namespace cordon::net
