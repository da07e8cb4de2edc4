#include "shadow/copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/write_all.h"

namespace cordon::shadow {
namespace {

constexpr size_t kKernelPiece = size_t{64} << 20;
constexpr int64_t kSecondNs = 1'000'000'000;

// From where both files stand.
Status CopyByHand(int from, int to, uint64_t size_bytes, const std::string& name) {
  std::array<char, 65536> piece;
  while (size_bytes > 0) {
    const ssize_t got = read(from, piece.data(), std::min<uint64_t>(piece.size(), size_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read(" + name + ")");
    if (got == 0) return {};
    CORDON_TRY(WriteAll(to, std::string_view(piece.data(), static_cast<size_t>(got)), name));
    size_bytes -= static_cast<uint64_t>(got);
  }
  return {};
}

Status CopyData(int from, int to, uint64_t size_bytes, const std::string& name) {
  while (size_bytes > 0) {
    const ssize_t got = copy_file_range(from, nullptr, to, nullptr,
                                        std::min<uint64_t>(kKernelPiece, size_bytes), 0);
    if (got > 0) size_bytes -= static_cast<uint64_t>(got);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    // File systems that do not do it, and those that say that there is nothing: go on from there.
    if (got == 0 || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS ||
        errno == EPERM) {
      return CopyByHand(from, to, size_bytes, name);
    }
    return SystemError("copy_file_range(" + name + ")");
  }
  return {};
}

}  // namespace

Status CopyContents(int from, int to, const std::string& name) {
  if (ioctl(to, FICLONE, from) == 0) return {};
  const off_t size = lseek(from, 0, SEEK_END);
  if (size < 0) return SystemError("lseek(" + name + ", SEEK_END)");
  for (off_t at = 0; at < size;) {
    const off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // nothing but holes
    if (data < 0) return SystemError("lseek(" + name + ", SEEK_DATA)");
    at = lseek(from, data, SEEK_HOLE);
    if (at < 0 || lseek(from, data, SEEK_SET) < 0 || lseek(to, data, SEEK_SET) < 0)
      return SystemError("lseek(" + name + ")");
    CORDON_TRY(CopyData(from, to, static_cast<uint64_t>(at - data), name));
  }
  if (ftruncate(to, size) != 0) return SystemError("ftruncate(" + name + ")");
  return {};
}

Status SetTime(int folder, const std::string& name, int64_t mtime_ns) {
  int64_t seconds = mtime_ns / kSecondNs;
  int64_t rest = mtime_ns % kSecondNs;
  if (rest < 0) {
    rest += kSecondNs;
    --seconds;
  }
  const std::array<timespec, 2> times = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                         timespec{.tv_sec = seconds, .tv_nsec = rest}};
  if (utimensat(folder, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return SystemError("utimensat(" + name + ")");
  return {};
}

}  // namespace cordon::shadow
