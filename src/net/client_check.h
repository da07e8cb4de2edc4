#ifndef CORDON_NET_CLIENT_CHECK_H_
#define CORDON_NET_CLIENT_CHECK_H_

// Many names share an address. Whether a client asks, at an address that an allowed name has, for
// that name: from what it says first in TLS, and in every request of plain HTTP.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "net/http_watch.h"

namespace cordon::net {

class ClientCheck {
 public:
  // The names that may be asked for. At another port than 80 and 443 a client may speak something
  // that is neither TLS nor HTTP.
  ClientCheck(std::vector<std::string> names, uint16_t port);
  ClientCheck(const ClientCheck&) = delete;
  ClientCheck& operator=(const ClientCheck&) = delete;

  enum class State { kHold, kSend, kRefuse };
  // Takes more of what the client said. With kSend, `ready` may go to the server: all that was held
  // and may; it is empty after nothing more is to be looked at and stays valid until the next call.
  [[nodiscard]] State Look(std::span<const uint8_t> bytes);
  [[nodiscard]] std::span<const uint8_t> ready() const { return ready_; }
  [[nodiscard]] size_t held_bytes() const { return held_.size(); }
  // No further look is needed.
  [[nodiscard]] bool is_over() const { return protocol_ == Protocol::kAny; }

  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const std::string& asked() const { return asked_; }  // empty if not known

 private:
  enum class Protocol { kUnknown, kTls, kHttp, kAny };

  [[nodiscard]] bool MayAsk(const std::string& name);
  enum class Likeness { kNo, kMaybe, kYes };
  [[nodiscard]] Likeness LikenessToHttp() const;
  void Recognise();
  State LookAtHello();
  State LookAtRequests();
  State SendAll();
  State SendFirst(size_t size);
  State Refuse(std::string reason);

  const std::vector<std::string> names_;
  const bool is_web_;
  Protocol protocol_ = Protocol::kUnknown;
  HttpWatch http_;
  std::vector<uint8_t> held_;
  size_t sent_ = 0;  // of those, while it is not known what they are the beginning of
  std::vector<uint8_t> ready_;
  std::string reason_;
  std::string asked_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_CLIENT_CHECK_H_
