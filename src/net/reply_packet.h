#ifndef CORDON_NET_REPLY_PACKET_H_
#define CORDON_NET_REPLY_PACKET_H_

// Packets into the sandbox in the name of whoever it wrote to.

#include <cstdint>
#include <span>
#include <vector>

#include "net/address.h"

namespace cordon::net {

// A datagram with its IP header. Both addresses are of one family.
[[nodiscard]] std::vector<uint8_t> WriteDatagram(const Endpoint& from, const Endpoint& to,
                                                 std::span<const uint8_t> payload);
// ICMP's port unreachable, for a datagram that was sent from `sender` to `destination`.
[[nodiscard]] std::vector<uint8_t> WriteUnreachable(const Endpoint& sender,
                                                    const Endpoint& destination,
                                                    std::span<const uint8_t> payload);

}  // namespace cordon::net

#endif  // CORDON_NET_REPLY_PACKET_H_
