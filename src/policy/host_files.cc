#include "policy/host_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace cordon::policy {
namespace {

Found TypeOf(const struct stat& status) {
  if (S_ISREG(status.st_mode)) return Found::kFile;
  if (S_ISDIR(status.st_mode)) return Found::kDirectory;
  if (S_ISLNK(status.st_mode)) return Found::kLink;
  return Found::kOther;
}

Result<std::string> ReadAll(const OwnedFd& file, const std::string& path, size_t max_bytes) {
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return SystemError("fstat(" + path + ")");
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalid, "not a regular file", path);
  std::string text;
  char part[16384];
  for (;;) {
    const ssize_t count = read(file.get(), part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError("read(" + path + ")");
    if (count == 0) return text;
    text.append(part, static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return Fail(ErrorCode::kLimit, "larger than " + std::to_string(max_bytes >> 20) + " MiB",
                  path);
    }
  }
}

}  // namespace

Result<std::string> ReadHostFile(const std::string& path, size_t max_bytes) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return SystemError("open(" + path + ")");
  return ReadAll(file, path, max_bytes);
}

Found Inspect(const std::string& path) {
  return Look(path).found;
}

Looked Look(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return {};
  return {TypeOf(status), static_cast<uint64_t>(status.st_size)};
}

std::string RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string text = resolved != nullptr ? resolved : "";
  free(resolved);
  return text;
}

std::string RealPrefix(const std::string& path) {
  for (size_t end = path.size(); end > 0 && end != std::string::npos;
       end = path.rfind('/', end - 1)) {
    const std::string real = RealPath(path.substr(0, end));
    if (!real.empty()) return real + path.substr(end);
  }
  return path;
}

Result<Beneath> Beneath::Open(const std::string& directory) {
  OwnedFd fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + directory + ")");
  return Beneath(std::move(fd));
}

Found Beneath::Inspect(const std::vector<std::string>& components) const {
  OwnedFd at;
  Found found = Found::kDirectory;
  for (const std::string& name : components) {
    if (found != Found::kDirectory) return found == Found::kLink ? found : Found::kMissing;
    const int from = at.valid() ? at.get() : directory_.get();
    OwnedFd next(openat(from, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status = {};
    if (!next.valid() || fstat(next.get(), &status) != 0) return Found::kMissing;
    found = TypeOf(status);
    at = std::move(next);
  }
  return found;
}

Result<std::string> Beneath::Read(const std::vector<std::string>& components,
                                  size_t max_bytes) const {
  OwnedFd at;
  std::string path;
  for (size_t i = 0; i < components.size(); ++i) {
    path += (i == 0 ? "" : "/") + components[i];
    const int from = at.valid() ? at.get() : directory_.get();
    const int flags =
        i + 1 < components.size() ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    OwnedFd next(openat(from, components[i].c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return SystemError("openat(" + path + ")");
    at = std::move(next);
  }
  if (!at.valid()) return Fail(ErrorCode::kInvalid, "no path");
  return ReadAll(at, path, max_bytes);
}

}  // namespace cordon::policy
