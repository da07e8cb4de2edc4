#ifndef CORDON_NET_GATEWAY_CONFIG_H_
#define CORDON_NET_GATEWAY_CONFIG_H_

// What a gateway is told when it starts: everything, since it can open nothing afterwards.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "policy/plan.h"

namespace cordon::net {

struct GatewayConfig {
  policy::NetworkPlan network;
  std::vector<Endpoint> resolvers;                     // that the host asks, in its order
  std::vector<std::pair<std::string, Address>> hosts;  // that the host knows without asking
  bool asks_who = false;  // whoever starts the gateway answers (socket_question.h)
  size_t max_flows = 4096;
  size_t max_datagram_flows = 512;
  size_t lookups_per_second = 100;
};

// One fact a line; the rules as people write them.
[[nodiscard]] std::string WriteConfig(const GatewayConfig& config);
[[nodiscard]] Result<GatewayConfig> ReadConfig(std::string_view text);

// Of the text of /etc/resolv.conf: its first three servers; this machine's own if it names none.
[[nodiscard]] std::vector<Endpoint> ReadResolvers(std::string_view text);
// Of the text of /etc/hosts: names that could stand in a rule.
[[nodiscard]] std::vector<std::pair<std::string, Address>> ReadHosts(std::string_view text);

}  // namespace cordon::net

#endif  // CORDON_NET_GATEWAY_CONFIG_H_
