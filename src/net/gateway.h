#ifndef CORDON_NET_GATEWAY_H_
#define CORDON_NET_GATEWAY_H_

// A gateway, as whoever builds a wall starts and ends it. The order:
//
//   Gateway::Start        outside, before the wall; it goes on by itself meanwhile
//   SetUpNamespace        by the first process inside its new network namespace, with capabilities
//   SendSockets           by the same, over namespace_channel(), which it inherited
//   …                     it closes the channel, drops its capabilities and starts the command
//   Gateway::Finish       outside, when nobody is left inside
//
// A gateway that dies takes the network away: connections end, new ones are refused.

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/error.h"
#include "base/owned_fd.h"
#include "net/gateway_config.h"
#include "net/summary.h"

namespace cordon::net {

struct GatewayRequest {
  std::string program;  // the path of cordon-gateway
  GatewayConfig config;
  std::string log_path;  // appended to, made if it is not there; empty for none
};

// For a plan, with what this machine knows of names (/etc/resolv.conf, /etc/hosts).
[[nodiscard]] GatewayConfig ConfigFor(const policy::NetworkPlan& network);

class Gateway {
 public:
  [[nodiscard]] static Result<Gateway> Start(const GatewayRequest& request);
  Gateway(Gateway&&) noexcept;
  Gateway& operator=(Gateway&&) = delete;
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  // Kills it, if it was not finished.
  ~Gateway();

  // For SendSockets. Closed on exec; the copy of this process is to be closed when the process that
  // uses it has been made, so that its end is noticed.
  [[nodiscard]] int namespace_channel() const { return channel_.get(); }
  void CloseNamespaceChannel() { channel_.reset(); }
  // Readable when the gateway has something to say before it is finished: that it failed.
  [[nodiscard]] int control() const { return control_.get(); }
  // For poll, where the configuration says asks_who: -1 once the gateway has gone.
  [[nodiscard]] int questions() const { return is_silent_ ? -1 : control_.get(); }
  // Reads what has come there, and answers about `first` and its descendants. Takes at most a
  // fifth of a second, and of a command that asks without end two seconds altogether.
  void Answer(pid_t first);
  [[nodiscard]] pid_t pid() const { return pid_; }

  // Ends all flows and waits for the gateway; what it let through and what not. An error says why
  // there was no gateway, or that it did not live to the end.
  [[nodiscard]] Result<Summary> Finish();

 private:
  Gateway() = default;

  pid_t pid_ = -1;
  OwnedFd control_;
  OwnedFd channel_;
  std::string said_;  // its last words, heard while it was listened to
  bool is_silent_ = false;
  std::chrono::nanoseconds spent_{0};
};

}  // namespace cordon::net

#endif  // CORDON_NET_GATEWAY_H_
