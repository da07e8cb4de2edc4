#include "net/sandbox.h"

#include "net/gateway_channels.h"

namespace cordon::net {
namespace {

constexpr size_t kMaxPins = 8192;
constexpr size_t kBufferSize = 256 << 10;

}  // namespace

Sandbox::Sandbox(asio::io_context& event_loop, const GatewayConfig& configuration, OwnedFd log_file)
    : loop(event_loop),
      config(configuration),
      rules(configuration.network),
      pins(kMaxPins),
      resolver(event_loop, configuration),
      log(std::move(log_file)),
      askers(event_loop, configuration.asks_who ? kControlFd : -1),
      buffer(kBufferSize) {}

}  // namespace cordon::net
