// Policy bytes -> errors that each have a place, or a document whose demands can be listed.

#include <cstdlib>

#include "policy/layer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cordon::policy;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  constexpr FileKind kKinds[] = {FileKind::kSbox, FileKind::kCordon, FileKind::kUser};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<cordon::Error> errors;
  Layer layer;
  layer.path = "/f";
  layer.document = ReadDocument(text, layer.path, kKinds[data[0] % 3], &errors);
  for (const cordon::Error& error : errors) {
    if (!error.place.starts_with("/f") || error.message.empty()) std::abort();
  }
  if (!errors.empty()) return 0;
  const Document nothing;
  for (const Ask& ask : FindAsks(layer, nothing, {})) {
    if (ask.what.empty() || ask.mark.line == 0) std::abort();
  }
  return 0;
}
