// What a command that the host serves says, which a guest may have written: whole and in pieces it
// has the same meaning, and nothing is taken that was not wanted.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "live/host_frame.h"

namespace {

using cordon::live::GuestSays;

// The first byte of the input: how much is wanted after each frame.
std::string ReadFrames(std::string_view bytes, uint32_t wanted, size_t piece) {
  cordon::live::HostFrameReader reader;
  std::string seen;
  bool is_first = true;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    reader.Add(part);
    for (;;) {
      const auto frame = reader.Next();
      if (!frame) return seen + "!";
      if (!*frame) break;
      if (is_first != ((*frame)->type == GuestSays::kCall)) std::abort();
      if ((*frame)->type == GuestSays::kInput && (*frame)->payload.size() > wanted) std::abort();
      if (is_first) {
        const auto start = cordon::live::ParseHostCall((*frame)->payload);
        if (start && start->arguments.size() + start->variables.size() > (*frame)->payload.size())
          std::abort();
      }
      is_first = false;
      seen += std::to_string(static_cast<uint32_t>((*frame)->type)) + (*frame)->payload;
      reader.Want(wanted);
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (ReadFrames(bytes, data[0], size) != ReadFrames(bytes, data[0], 1)) std::abort();
  return 0;
}
