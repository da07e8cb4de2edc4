// Bytes of a sandbox and of a name server: read, answered, and read again.

#include <algorithm>
#include <cstdlib>

#include "net/dns_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cordon::net;  // NOLINT(google-build-using-namespace)
  const std::span<const uint8_t> bytes(data, size);
  for (const DnsType type : {DnsType::kA, DnsType::kAaaa}) {
    const uint16_t id = size < 2 ? 0 : static_cast<uint16_t>((data[0] << 8U) | data[1]);
    const auto response = ParseDnsResponse(bytes, id, "good.example", type);
    if (response && std::ranges::any_of(response->addresses, [&](const Address& address) {
          return type == DnsType::kA && !address.is_ipv4();
        })) {
      std::abort();
    }
  }
  (void)WriteDnsFormatError(bytes);
  const auto query = ParseDnsQuery(bytes);
  if (!query) return 0;
  const DnsAnswer answer = {DnsCode::kNoError, {Address::Ipv4({8, 8, 8, 8})}, 60, ""};
  const auto written = WriteDnsAnswer(*query, answer, 65535);
  if (query->type != DnsType::kA) return 0;
  const auto back = ParseDnsResponse(written, query->id, query->name, DnsType::kA);
  if (!back || back->addresses != answer.addresses) std::abort();
  return 0;
}
