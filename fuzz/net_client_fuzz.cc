// What a client says first, whole and in pieces: the same verdict, and no byte goes on that was not
// read.

#include <cstdlib>
#include <string>

#include "net/client_check.h"

namespace {

using cordon::net::ClientCheck;

// What was let through, and whether it ended in a refusal.
std::pair<std::string, bool> Run(std::span<const uint8_t> bytes, uint16_t port, size_t piece) {
  ClientCheck check({"good.example", "a.good.example"}, port);
  std::string sent;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(part.size());
    const ClientCheck::State state = check.Look(part);
    if (state == ClientCheck::State::kRefuse) return {sent, true};
    if (state == ClientCheck::State::kSend) sent.append(check.ready().begin(), check.ready().end());
  }
  return {sent, false};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMost = 4096;
  if (size == 0 || size > kMost) return 0;
  const uint16_t port = (data[0] & 1U) != 0 ? 443 : 7000;
  const std::span<const uint8_t> bytes(data + 1, size - 1);
  const auto [whole, is_refused] = Run(bytes, port, bytes.size());
  const auto [pieces, is_refused_in_pieces] = Run(bytes, port, 1);
  const std::string text(bytes.begin(), bytes.end());
  if (!text.starts_with(whole) || !text.starts_with(pieces)) std::abort();
  if (is_refused != is_refused_in_pieces) std::abort();
  // At other ports than the web's what may be the first line of a request does not wait for the
  // rest.
  const size_t more = port == 443 ? 0 : kMost;
  if (!is_refused && (pieces.size() < whole.size() || pieces.size() > whole.size() + more)) {
    std::abort();
  }
  return 0;
}
