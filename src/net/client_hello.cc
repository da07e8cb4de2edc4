#include "net/client_hello.h"

#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "net/dns_message.h"

namespace cordon::net {
namespace {

using Bytes = std::span<const uint8_t>;
using State = ClientHello::State;

constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kClientHelloMessage = 1;
constexpr size_t kRecordHeader = 5;
constexpr size_t kMaxRecord = 16384;
constexpr size_t kMessageHeader = 4;
constexpr unsigned kServerName = 0;
constexpr unsigned kEncryptedClientHello = 0xfe0d;  // RFC 9849
constexpr unsigned kEncryptedServerName = 0xffce;   // its forerunner

// Fields that begin with their length in `width` bytes; none if there is not as much.
std::optional<unsigned> TakeNumber(Bytes* bytes, size_t width) {
  if (bytes->size() < width) return std::nullopt;
  unsigned value = 0;
  for (const uint8_t byte : bytes->first(width)) value = (value << 8U) | byte;
  *bytes = bytes->subspan(width);
  return value;
}

std::optional<Bytes> TakeField(Bytes* bytes, size_t width) {
  const auto size = TakeNumber(bytes, width);
  if (!size || bytes->size() < *size) return std::nullopt;
  const Bytes field = bytes->first(*size);
  *bytes = bytes->subspan(*size);
  return field;
}

// The handshake's bytes without the records around them. A message may be cut into several.
State JoinRecords(Bytes bytes, std::vector<uint8_t>* message) {
  for (;;) {
    if (!bytes.empty() && bytes[0] != kHandshakeRecord) {
      return message->empty() ? State::kNotTls : State::kBroken;
    }
    if (bytes.size() > 1 && bytes[1] != 3) {
      return message->empty() ? State::kNotTls : State::kBroken;
    }
    if (bytes.size() < kRecordHeader) return State::kIncomplete;
    const size_t size = (static_cast<size_t>(bytes[3]) << 8U) | bytes[4];
    if (size == 0 || size > kMaxRecord) return State::kBroken;
    const Bytes body =
        bytes.subspan(kRecordHeader).first(std::min(size, bytes.size() - kRecordHeader));
    message->insert(message->end(), body.begin(), body.end());
    if (!message->empty() && (*message)[0] != kClientHelloMessage) return State::kBroken;
    if (message->size() >= kMessageHeader) {
      const size_t wanted =
          kMessageHeader + ((static_cast<size_t>((*message)[1]) << 16U) |
                            (static_cast<size_t>((*message)[2]) << 8U) | (*message)[3]);
      if (wanted > kMaxClientHello) return State::kBroken;
      if (message->size() >= wanted) {
        message->resize(wanted);
        return State::kComplete;
      }
    }
    if (body.size() < size) return State::kIncomplete;
    bytes = bytes.subspan(kRecordHeader + size);
  }
}

// One name of the type host_name and nothing beside it.
bool ReadServerName(Bytes extension, ClientHello* hello) {
  const auto list = TakeField(&extension, 2);
  if (!list || !extension.empty()) return false;
  Bytes rest = *list;
  const auto type = TakeNumber(&rest, 1);
  const auto name = TakeField(&rest, 2);
  if (!type || *type != 0 || !name || !rest.empty()) return false;
  hello->server_name =
      CanonicalHostName({reinterpret_cast<const char*>(name->data()), name->size()});
  return !hello->server_name.empty();
}

bool ReadExtensions(Bytes extensions, ClientHello* hello) {
  std::set<unsigned> seen;
  while (!extensions.empty()) {
    const auto type = TakeNumber(&extensions, 2);
    const auto body = TakeField(&extensions, 2);
    if (!type || !body || !seen.insert(*type).second) return false;
    if (*type == kServerName && !ReadServerName(*body, hello)) return false;
    if (*type == kEncryptedClientHello || *type == kEncryptedServerName) {
      hello->has_encrypted_hello = true;
    }
  }
  return true;
}

bool ReadMessage(Bytes message, ClientHello* hello) {
  constexpr size_t kVersionAndRandom = 34;
  Bytes rest = message.subspan(kMessageHeader);
  if (rest.size() < kVersionAndRandom) return false;
  rest = rest.subspan(kVersionAndRandom);
  const auto session = TakeField(&rest, 1);
  const auto ciphers = TakeField(&rest, 2);
  const auto compressions = TakeField(&rest, 1);
  if (!session || !ciphers || !compressions) return false;
  if (rest.empty()) return true;  // before there were extensions
  const auto extensions = TakeField(&rest, 2);
  return extensions && rest.empty() && ReadExtensions(*extensions, hello);
}

}  // namespace

ClientHello ParseClientHello(Bytes bytes) {
  ClientHello hello;
  std::vector<uint8_t> message;
  hello.state = JoinRecords(bytes, &message);
  if (hello.state == State::kIncomplete && bytes.size() >= kMaxClientHello) {
    hello.state = State::kBroken;
  }
  if (hello.state == State::kComplete && !ReadMessage(message, &hello)) {
    hello.state = State::kBroken;
  }
  return hello;
}

}  // namespace cordon::net
