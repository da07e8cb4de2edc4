// cordon-fetch: what is done with bytes of others that needs TLS, names or signatures; one job a
// process, locked in. Started by packages/fetcher_process, with an empty environment.
//
//   cordon-fetch resolve HOST
//   cordon-fetch get URL MAX CA-FILE    descriptor 3: a connection to the URL's host; 4: the body
//   cordon-fetch verify KEY             descriptor 3: an index; 4: its signature
//   cordon-fetch sign COMMENT           descriptor 3: an index; 4: a private key
//
// What it says is in say.h.

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "packages/fetcher/get.h"
#include "packages/fetcher/signatures.h"

int main(int argc, char** argv) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return 1;
  // Whoever started it may have ended before that: then nobody reads what it says.
  pollfd listener = {STDOUT_FILENO, 0, 0};
  if (poll(&listener, 1, 0) != 0) return 1;
  const std::string_view job = argc > 1 ? argv[1] : "";
  if (job == "resolve" && argc == 3) cordon::packages::Resolve(argv[2]);
  if (job == "verify" && argc == 3) cordon::packages::Verify(argv[2]);
  if (job == "sign" && argc == 3) cordon::packages::SignFile(argv[2]);
  if (job == "get" && argc == 5) {
    uint64_t most = 0;
    const std::string_view text = argv[3];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), most);
    if (error == std::errc() && end == text.data() + text.size()) {
      cordon::packages::Get(argv[2], most, argv[4]);
    }
  }
  return 2;
}
