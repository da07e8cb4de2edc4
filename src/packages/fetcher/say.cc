#include "packages/fetcher/say.h"

#include <unistd.h>

#include <cerrno>

namespace cordon::packages {

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  for (size_t done = 0; done < whole.size();) {
    const ssize_t put = write(STDOUT_FILENO, whole.data() + done, whole.size() - done);
    if (put < 0 && errno == EINTR) continue;
    // Nobody listens.
    if (put < 0) _exit(1);
    done += static_cast<size_t>(put);
  }
}

void EndWith(PackageCode code, std::string_view text) {
  Say(std::string("error ") + TextOf(code) + " " + Shown(text));
  _exit(1);
}

}  // namespace cordon::packages
