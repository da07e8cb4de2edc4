// What a guest prints, as a model sees it: UTF-8 without an escape, and cleaning it again changes
// nothing.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "mcp/clean_text.h"
#include "rpc/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string text = cordon::mcp::CleanText(bytes);
  cordon::rpc::Json probe = cordon::rpc::Json::object();
  cordon::rpc::PutBytes(probe, "text", text);
  if (probe.contains("textBase64")) std::abort();
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) std::abort();
  }
  if (cordon::mcp::CleanText(text) != text) std::abort();
  return 0;
}
