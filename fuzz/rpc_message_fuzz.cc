// What a client of the daemon sends: lines, whole and in pieces, give the same requests; base64
// that is taken is what would have been written.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "rpc/base64.h"
#include "rpc/message.h"

namespace {

using cordon::rpc::LineReader;

constexpr size_t kLongest = 200;

std::string Read(std::string_view bytes, size_t piece) {
  LineReader reader(kLongest);
  std::string seen;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    reader.Add(part);
    while (const auto line = reader.Next()) {
      seen += line->is_too_long ? "long\n" : line->text + "\n";
      if (line->is_too_long) continue;
      const cordon::rpc::Parsed parsed = cordon::rpc::ParseRequest(line->text);
      if (parsed.request)
        seen += cordon::rpc::ResultLine(parsed.request->id, parsed.request->params);
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A line that is too long and has no end yet is told of early: ends make both the same.
  const std::string ended = std::string(bytes) + "\n";
  if (Read(ended, ended.size()) != Read(ended, 1)) std::abort();
  const auto decoded = cordon::rpc::DecodeBase64(bytes);
  if (decoded && cordon::rpc::EncodeBase64(*decoded) != bytes) std::abort();
  if (cordon::rpc::DecodeBase64(cordon::rpc::EncodeBase64(bytes)) != bytes) std::abort();
  return 0;
}
