// What others say about packages; the first byte says which: an URL, a redirect, an index, a list
// of what is installed, the words of a guest's request.

#include <cstdlib>
#include <string_view>

#include "live/guest_channels.h"
#include "packages/index.h"
#include "packages/installed.h"
#include "packages/policy.h"

namespace {

using namespace cordon::packages;  // NOLINT(google-build-using-namespace)

// What was read is written in its one form, and its host has nothing that another reader takes for
// something else.
void CheckUrl(const Url& url) {
  const auto again = ParseUrl(url.ToString());
  if (!again || *again != url) std::abort();
  if (url.host.find_first_of("@/\\?#% ") != std::string::npos || url.host.ends_with('.')) {
    std::abort();
  }
}

void CheckRequest(std::string_view text) {
  const auto read = cordon::live::ReadRequest(text);
  using State = cordon::live::RequestWords::State;
  if (read.state != State::kComplete) return;
  // More bytes change nothing.
  if (cordon::live::ReadRequest(std::string(text) + "x").words != read.words) std::abort();
  if (!read.words.empty() && read.words.back() != '\0') std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Url base = *ParseUrl("https://a.example:8443/d/pkg-index.json?x=/y");
  switch (data[0] % 5) {
    case 0:
      if (const auto url = ParseUrl(text)) CheckUrl(*url);
      break;
    case 1:
      if (const auto url = ParseLocation(base, text)) CheckUrl(*url);
      break;
    case 2:
      if (const auto index = ParseIndex(base, text)) {
        for (const auto& [name, entry] : *index) {
          if (!CheckName(name) || entry.hash.size() != 64) std::abort();
          CheckUrl(entry.url);
        }
      }
      break;
    case 3: {
      const InstalledPackages packages = ReadList(text);
      if (ReadList(WriteList(packages)) != packages) std::abort();
      break;
    }
    default:
      if (text.size() < cordon::live::kMostRequestBytes) CheckRequest(text);
  }
  return 0;
}
