// The files of a shadow's store -> refused, or data that is written back as the same bytes.

#include <cstdlib>
#include <span>
#include <string>

#include "base/sha256.h"
#include "shadow/ignore.h"
#include "shadow/journal.h"
#include "shadow/manifest.h"

namespace {

// The digest would keep every other input out.
std::string WithDigest(std::string text) {
  cordon::Sha256 hash;
  hash.Update(text);
  return text + cordon::Sha256::Hex(hash.Finish());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cordon::shadow;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: {
      const auto base = ReadManifest(WithDigest("20:cordon shadow base 1" + text), "base");
      if (!base) return 0;
      const std::string again = WriteManifest(*base);
      const auto second = ReadManifest(again, "base");
      if (!second || WriteManifest(*second) != again) std::abort();
      return 0;
    }
    case 1: {
      const auto journal = ReadJournal(WithDigest("23:cordon shadow journal 1" + text), "journal");
      if (!journal) return 0;
      for (const Step& step : journal->steps) {
        if (!IsCleanPath(step.path)) std::abort();
      }
      const std::string again = WriteJournal(*journal);
      const auto second = ReadJournal(again, "journal");
      if (!second || WriteJournal(*second) != again) std::abort();
      return 0;
    }
    default: {
      // Rules of a hostile workspace, against its own lines as paths.
      IgnoreRules rules;
      rules.Add(text, "", "rules");
      const std::string path = text.substr(0, text.find('\n'));
      if (IsCleanPath(path)) (void)rules.Find(path, NodeType::kFile);
      return 0;
    }
  }
}
