#include "packages/fetcher/say.h"

#include <unistd.h>

#include "base/write_all.h"

namespace cordon::packages {

void Say(const std::string& line) {
  // Otherwise nobody listens.
  if (!WriteAll(STDOUT_FILENO, line + "\n", "answer")) _exit(1);
}

void EndWith(PackageCode code, std::string_view text) {
  Say(std::string("error ") + TextOf(code) + " " + Shown(text));
  _exit(1);
}

}  // namespace cordon::packages
