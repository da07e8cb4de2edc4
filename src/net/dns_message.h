#ifndef CORDON_NET_DNS_MESSAGE_H_
#define CORDON_NET_DNS_MESSAGE_H_

// The DNS wire format (RFC 1035, 6891, 8914), as much as a resolver for addresses needs. Both sides
// are hostile: the sandbox that asks and the servers that answer.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/address.h"

namespace cordon::net {

enum class DnsType : uint16_t {
  kA = 1,
  kCname = 5,
  kPtr = 12,
  kAaaa = 28,
  kSvcb = 64,
  kHttps = 65
};
enum class DnsCode : uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNoSuchName = 3,
  kNotImplemented = 4,
  kRefused = 5,
};

// Names are in lower case, without the dot at the end; bytes that a host name does not have are
// written \ddd, so that such a name is equal to none that a rule allows.
struct DnsQuery {
  uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;
  DnsType type = DnsType::kA;
  std::vector<uint8_t> question;  // as it was sent: some clients compare the letters' case
  bool has_edns = false;
  uint16_t answer_size = 512;  // what the client takes in one datagram
};
// None if it is no query with one question.
[[nodiscard]] std::optional<DnsQuery> ParseDnsQuery(std::span<const uint8_t> bytes);

struct DnsAnswer {
  DnsCode code = DnsCode::kNoError;
  std::vector<Address> addresses;
  uint32_t ttl_seconds = 0;
  std::string refused_because;  // if not empty, said as extended error 18, prohibited
};
// With as many addresses as fit into `size_limit`; truncated if not all do.
[[nodiscard]] std::vector<uint8_t> WriteDnsAnswer(const DnsQuery& query, const DnsAnswer& answer,
                                                  size_t size_limit);
// For what could not be understood; empty if not even its number is there.
[[nodiscard]] std::vector<uint8_t> WriteDnsFormatError(std::span<const uint8_t> query);

// `name` is one that a rule may allow.
[[nodiscard]] std::vector<uint8_t> WriteDnsQuestion(uint16_t id, const std::string& name,
                                                    DnsType type);

struct DnsResponse {
  DnsCode code = DnsCode::kNoError;
  bool is_truncated = false;
  std::vector<Address> addresses;  // of the name, through its aliases
  uint32_t ttl_seconds = 0;        // the shortest of what was used
};
// None if it is no answer to this question.
[[nodiscard]] std::optional<DnsResponse> ParseDnsResponse(std::span<const uint8_t> bytes,
                                                          uint16_t id, const std::string& name,
                                                          DnsType type);

// Lower case, labels of letters, digits, - and _, no dot at the end; empty if it is no host name.
[[nodiscard]] std::string CanonicalHostName(std::string_view text);

}  // namespace cordon::net

#endif  // CORDON_NET_DNS_MESSAGE_H_
