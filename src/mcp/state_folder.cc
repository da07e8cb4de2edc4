#include "mcp/state_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/new_file.h"

namespace cordon::mcp {
namespace {

constexpr off_t kMostBytes = off_t{4} << 30;
constexpr const char* kSuffix = ".oci.tar";

}  // namespace

bool StateFolder::IsName(const std::string& name) {
  constexpr size_t kMost = 100;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= kMost && name[0] != '.' && std::ranges::all_of(name, fits);
}

Result<StateFolder> StateFolder::Open(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemError("mkdir(" + path + ")");
  OwnedFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return SystemError("open(" + path + ")");
  return StateFolder(std::move(folder));
}

Status StateFolder::Write(const std::string& name, const std::string& bytes) const {
  return ReplaceFile(folder_.get(), name + kSuffix, bytes, 0600);
}

Result<std::string> StateFolder::Read(const std::string& name) const {
  const std::string place = name + kSuffix;
  const OwnedFd fd(openat(folder_.get(), place.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return Fail(ErrorCode::kInvalid, "there is no state " + name);
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size > kMostBytes) {
    return Fail(ErrorCode::kInvalid, "no state: " + name);
  }
  std::string bytes(static_cast<size_t>(stat.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("read(" + place + ")", got == 0 ? EIO : errno);
    done += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace cordon::mcp
