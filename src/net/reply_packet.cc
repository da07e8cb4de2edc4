#include "net/reply_packet.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstddef>

namespace cordon::net {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kUdpHeader = 8;
constexpr size_t kIpv4Header = 20;
constexpr uint8_t kHops = 64;

void PutShort(Bytes* bytes, size_t value) {
  bytes->push_back(static_cast<uint8_t>(value >> 8U));
  bytes->push_back(static_cast<uint8_t>(value));
}

void PutBytes(Bytes* bytes, std::span<const uint8_t> more) {
  bytes->insert(bytes->end(), more.begin(), more.end());
}

std::span<const uint8_t> BytesOf(const Address& address) {
  return std::span(address.bytes).subspan(address.is_ipv4() ? 12 : 0);
}

uint64_t Sum(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += (static_cast<uint64_t>(bytes[i]) << 8U) | bytes[i + 1];
  }
  if (bytes.size() % 2 != 0) sum += static_cast<uint64_t>(bytes.back()) << 8U;
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<uint16_t>(~sum);
}

// The sum over the addresses, protocol and length that a checksum covers beside its own packet.
uint64_t PseudoHeader(const Address& from, const Address& to, uint8_t protocol, size_t size) {
  return Sum(BytesOf(from)) + Sum(BytesOf(to)) + protocol + size;
}

void SetShort(Bytes* bytes, size_t at, uint16_t value) {
  (*bytes)[at] = static_cast<uint8_t>(value >> 8U);
  (*bytes)[at + 1] = static_cast<uint8_t>(value);
}

Bytes IpHeader(const Address& from, const Address& to, uint8_t protocol, size_t size) {
  Bytes bytes;
  if (from.is_ipv4()) {
    bytes = {0x45, 0};
    PutShort(&bytes, kIpv4Header + size);
    PutBytes(&bytes, std::array<uint8_t, 4>{0, 0, 0, 0});
    bytes.push_back(kHops);
    bytes.push_back(protocol);
    PutShort(&bytes, 0);
    PutBytes(&bytes, BytesOf(from));
    PutBytes(&bytes, BytesOf(to));
    SetShort(&bytes, 10, Fold(Sum(bytes)));
    return bytes;
  }
  bytes = {0x60, 0, 0, 0};
  PutShort(&bytes, size);
  bytes.push_back(protocol);
  bytes.push_back(kHops);
  PutBytes(&bytes, BytesOf(from));
  PutBytes(&bytes, BytesOf(to));
  return bytes;
}

Bytes UdpPacket(const Endpoint& from, const Endpoint& to, std::span<const uint8_t> payload) {
  Bytes bytes;
  bytes.reserve(kUdpHeader + payload.size());
  PutShort(&bytes, from.port);
  PutShort(&bytes, to.port);
  PutShort(&bytes, kUdpHeader + payload.size());
  PutShort(&bytes, 0);
  PutBytes(&bytes, payload);
  const uint16_t sum =
      Fold(PseudoHeader(from.address, to.address, IPPROTO_UDP, bytes.size()) + Sum(bytes));
  // Zero would mean that there is none.
  SetShort(&bytes, 6, sum == 0 ? 0xffff : sum);
  return bytes;
}

}  // namespace

Bytes WriteDatagram(const Endpoint& from, const Endpoint& to, std::span<const uint8_t> payload) {
  const Bytes packet = UdpPacket(from, to, payload);
  Bytes bytes = IpHeader(from.address, to.address, IPPROTO_UDP, packet.size());
  PutBytes(&bytes, packet);
  return bytes;
}

Bytes WriteUnreachable(const Endpoint& sender, const Endpoint& destination,
                       std::span<const uint8_t> payload) {
  constexpr size_t kMaxQuoted = 64;
  const bool is_ipv4 = sender.address.is_ipv4();
  // Type and code of "port unreachable", in both versions of the protocol.
  Bytes message = is_ipv4 ? Bytes{3, 3} : Bytes{1, 4};
  message.resize(8);
  Bytes quoted = UdpPacket(sender, destination, payload);
  PutBytes(&message, IpHeader(sender.address, destination.address, IPPROTO_UDP, quoted.size()));
  quoted.resize(std::min(quoted.size(), kMaxQuoted));
  PutBytes(&message, quoted);
  // As if the sender's own machine said it: a group's address sends nothing.
  const Address& from = sender.address;
  const uint8_t protocol = is_ipv4 ? uint8_t{IPPROTO_ICMP} : uint8_t{IPPROTO_ICMPV6};
  uint64_t sum = Sum(message);
  if (!is_ipv4) sum += PseudoHeader(from, sender.address, protocol, message.size());
  SetShort(&message, 2, Fold(sum));
  Bytes bytes = IpHeader(from, sender.address, protocol, message.size());
  PutBytes(&bytes, message);
  return bytes;
}

}  // namespace cordon::net
