#include "cli/network_log.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace cordon::cli {
namespace {

constexpr off_t kLong = 16 << 20;

std::string StateFolder(const policy::Surroundings& around) {
  const std::string named = around.Variable("XDG_STATE_HOME");
  if (named.starts_with('/')) return policy::AbsolutePath("/", named);
  return around.home.empty() ? std::string() : around.home + "/.local/state";
}

// With what is above it, as far as that is missing.
Status MakeFolder(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    (void)mkdir(path.substr(0, end).c_str(), 0700);
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    Error error = SystemError("mkdir(" + path + ")").error();
    error.message = "the log of the network's decisions needs a place, XDG_STATE_HOME names one: " +
                    error.message;
    return std::unexpected(error);
  }
  return {};
}

}  // namespace

Result<std::string> PrepareNetworkLog(const policy::Surroundings& around) {
  std::string folder = StateFolder(around);
  if (folder.empty()) {
    return Fail(ErrorCode::kInvalid,
                "the log of the network's decisions needs a place: set HOME or XDG_STATE_HOME");
  }
  folder += "/cordon";
  CORDON_TRY(MakeFolder(folder));
  std::string path = folder + "/network.log";
  struct stat stat = {};
  if (lstat(path.c_str(), &stat) == 0 && stat.st_size > kLong &&
      rename(path.c_str(), (path + ".1").c_str()) != 0) {
    return SystemError("rename(" + path + ")");
  }
  return path;
}

}  // namespace cordon::cli
