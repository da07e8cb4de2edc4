// What a session's shell writes, which a guest may have written: whole and in pieces it has the
// same meaning. And frames of the other process.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "live/frame.h"
#include "live/shell.h"

namespace {

std::string ReadPrompts(std::string_view bytes, size_t piece) {
  cordon::live::PromptReader reader;
  std::string seen;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    for (const auto& ended : reader.Read(part)) {
      if (ended.status < 0 || ended.status > 255) std::abort();
      seen += std::to_string(ended.status) + (ended.is_repair ? "R" : "P");
    }
  }
  return seen;
}

size_t ReadFrames(std::string_view bytes, size_t piece) {
  cordon::live::FrameReader reader;
  size_t seen = 0;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    reader.Add(part);
    for (;;) {
      const auto frame = reader.Next();
      if (!frame) return seen;
      if (!*frame) break;
      seen += 1 + Encode(**frame).size();
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (ReadPrompts(bytes, size) != ReadPrompts(bytes, 1)) std::abort();
  if (ReadFrames(bytes, size) != ReadFrames(bytes, 1)) std::abort();
  return 0;
}
