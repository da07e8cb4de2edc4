// What a client of the daemon sends: lines and packed messages, whole and in pieces, give the same
// requests; base64 that is taken is what would have been written.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "rpc/base64.h"
#include "rpc/message.h"

namespace {

using cordon::rpc::Form;

constexpr size_t kLongest = 200;

// All that arrives, and what it answers with.
template <typename Reader>
std::string Read(std::string_view bytes, size_t piece, Form form) {
  Reader reader(kLongest);
  std::string seen;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    reader.Add(part);
    while (const auto arrived = reader.Next()) {
      seen += arrived->is_too_long ? "long\n" : arrived->text + "\n";
      if (arrived->is_too_long) continue;
      const cordon::rpc::Parsed parsed = cordon::rpc::ParseRequest(arrived->text, form);
      if (!parsed.request) continue;
      const cordon::rpc::Json message =
          cordon::rpc::ResultMessage(parsed.request->id, parsed.request->params);
      for (const Form answer : {Form::kLines, Form::kPacked}) {
        seen += cordon::rpc::Encode(message, answer);
      }
    }
  }
  return seen;
}

template <typename Reader>
void CheckPieces(const std::string& bytes, Form form) {
  if (Read<Reader>(bytes, bytes.size(), form) != Read<Reader>(bytes, 1, form)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A line that is too long and has no end yet is told of early: ends make both the same.
  CheckPieces<cordon::rpc::LineReader>(std::string(bytes) + "\n", Form::kLines);
  CheckPieces<cordon::rpc::PackReader>(std::string(bytes), Form::kPacked);
  const auto decoded = cordon::rpc::DecodeBase64(bytes);
  if (decoded && cordon::rpc::EncodeBase64(*decoded) != bytes) std::abort();
  if (cordon::rpc::DecodeBase64(cordon::rpc::EncodeBase64(bytes)) != bytes) std::abort();
  return 0;
}
