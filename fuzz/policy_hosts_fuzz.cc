// Configuration bytes -> keys and values, and hosts that read back as they are written.

#include <cstdlib>

#include "policy/hosts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cordon::policy;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  constexpr SourceFormat kFormats[] = {SourceFormat::kValue, SourceFormat::kIni,
                                       SourceFormat::kToml,  SourceFormat::kJson,
                                       SourceFormat::kYaml,  SourceFormat::kText};
  const SourceFormat format = kFormats[data[0] % 6];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto pairs = format == SourceFormat::kText ? ScanText(text, "resolved|\"url\":|domain=")
                                                   : Flatten(format, text);
  for (const auto& [key, value] : pairs) {
    const auto host = HostOfUrl(value);
    if (!host) continue;
    const auto again = ParseHostRule(host->ToString());
    if (!again || again->ToString() != host->ToString() || !again->Covers(*host)) std::abort();
  }
  return 0;
}
