#include "backend/native/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "backend/native/mount_calls.h"

namespace cordon::backend::native {
namespace {

constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
struct DeviceLink {
  const char* name;
  const char* text;
};
constexpr DeviceLink kDeviceLinks[] = {{"fd", "/proc/self/fd"},
                                       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"},
                                       {"stderr", "/proc/self/fd/2"},
                                       {"ptmx", "pts/ptmx"}};

Status PlaceDevice(int folder, const char* name) {
  const std::string host = std::string("/dev/") + name;
  const Result<OwnedFd> tree = CloneTree(AT_FDCWD, host, host);
  if (!tree) return std::unexpected(tree.error());
  struct stat stat = {};
  if (fstat(tree->get(), &stat) != 0) return SystemError("fstat(" + host + ")");
  if (!S_ISCHR(stat.st_mode)) return Fail(ErrorCode::kInvalid, host + " is no device");
  CORDON_TRY(Change(*tree, {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC}, host));
  return Attach(*tree, folder, name, host);
}

}  // namespace

Status MakeDevNames(int folder) {
  for (const char* name : kDevices) {
    const OwnedFd made(openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
    if (!made.valid()) return SystemError(std::string("open(new /dev/") + name + ")");
  }
  for (const DeviceLink& link : kDeviceLinks) {
    if (symlinkat(link.text, folder, link.name) != 0) {
      return SystemError(std::string("symlink(/dev/") + link.name + ")");
    }
  }
  for (const char* name : {"pts", kSharedMemory}) {
    if (mkdirat(folder, name, 0755) != 0)
      return SystemError(std::string("mkdir(/dev/") + name + ")");
  }
  return {};
}

Status FillDev(int folder) {
  for (const char* name : kDevices) CORDON_TRY(PlaceDevice(folder, name));
  const Result<OwnedFd> terminals =
      NewFileSystem("devpts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}},
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  if (!terminals) return std::unexpected(terminals.error());
  return Attach(*terminals, folder, "pts", "/dev/pts");
}

}  // namespace cordon::backend::native
