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

// A word, a blank, and the beginning of what a request may be for.
ClientCheck::Likeness ClientCheck::LikenessToHttp() const {
  constexpr size_t kMaxMethod = 32;
  const std::string_view said(reinterpret_cast<const char*>(held_.data()), held_.size());
  const size_t blank = std::min(said.find_first_of(" \r\n"), said.size());
  const std::string_view method = said.substr(0, blank);
  const bool is_method = !method.empty() && method.size() <= kMaxMethod &&
                         std::ranges::all_of(method, [](char letter) {
                           return letter > ' ' && letter < '\x7f' && letter != '/';
                         });
  if (!is_method || (blank < said.size() && said[blank] != ' ')) return Likeness::kNo;
  if (blank + 1 >= said.size()) return Likeness::kMaybe;
  const bool is_target =
      method == "CONNECT" || method == "PRI" || std::string_view("/*hH").contains(said[blank + 1]);
  return is_target ? Likeness::kYes : Likeness::kNo;
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
      // A server does nothing for half a request, and others wait for no more than this.
      ready_.assign(held_.begin() + static_cast<std::ptrdiff_t>(sent_), held_.end());
      sent_ = held_.size();
      return State::kSend;
    case Protocol::kAny:
      break;
  }
  return SendAll();
}

}  // namespace cordon::net
