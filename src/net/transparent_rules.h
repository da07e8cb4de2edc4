#ifndef CORDON_NET_TRANSPARENT_RULES_H_
#define CORDON_NET_TRANSPARENT_RULES_H_

#include <cstdint>

#include "base/error.h"

namespace cordon::net {

// The listeners are at 127.0.0.1 and ::1. Nothing inside may bind a port as low as this one.
inline constexpr uint16_t kListenerPort = 1;
// On packets that the gateway sends into the namespace; setting one needs CAP_NET_ADMIN.
inline constexpr int kGatewayMark = 0x636f7264;

// The packet filter of the current network namespace: what goes to an address that is not loopback
// arrives at the listeners, whatever its port; other protocols than TCP and UDP are dropped.
enum class Families { kIpv4, kBoth };
[[nodiscard]] Status InstallTransparentRules(Families families);

}  // namespace cordon::net

#endif  // CORDON_NET_TRANSPARENT_RULES_H_
