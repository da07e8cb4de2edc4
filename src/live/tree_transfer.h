#ifndef CORDON_LIVE_TREE_TRANSFER_H_
#define CORDON_LIVE_TREE_TRANSFER_H_

// Trees of a live sandbox into archives and out of them: a directory as a tar stream, and what the
// sandbox has beyond its userland as an OCI image.

#include <map>
#include <string>

#include "archive/entry.h"
#include "archive/oci_image.h"
#include "backend/wasm/keeper.h"
#include "base/error.h"

namespace cordon::live {

struct TransferReport {
  uint64_t size = 0;     // of the archive
  uint64_t entries = 0;  // that were taken over
  std::string digest;    // of an image
  archive::Skipped skipped;
};

// Limits of a sandbox, which an archive that goes in cannot exceed.
[[nodiscard]] archive::TreeLimits LimitsOf(const backend::SandboxOptions& options);

// What an archive of the sandbox takes at most on its way.
[[nodiscard]] uint64_t MostArchiveBytes(const backend::SandboxOptions& options);

// The directory's contents, with owners, modes, times and links; sockets and devices are left out.
[[nodiscard]] Result<TransferReport> PackDirectory(backend::Keeper& keeper, const std::string& path,
                                                   int fd, uint64_t most_bytes);
// The archive, which is sealed, is read to its end before the first file is made. What it brings is
// added to what is there, and takes the place of files of the same names. Everything belongs to the
// user.
[[nodiscard]] Result<TransferReport> UnpackDirectory(backend::Keeper& keeper,
                                                     const std::string& path, int fd, uint64_t size,
                                                     const backend::SandboxOptions& options);

[[nodiscard]] Result<TransferReport> ExportImage(backend::Keeper& keeper,
                                                 const archive::ImageConfig& config, int fd,
                                                 uint64_t most_bytes);

// What a tree was at an export, for the next one to bring only what has changed since. A path as
// in an archive; `removed`: a name of the userland that is not there any more.
struct SeenNode {
  uint64_t inode = 0;
  int64_t ctime_ns = 0;
  bool removed = false;
  bool is_directory = false;
  bool operator==(const SeenNode&) const = default;
};
using SeenTree = std::map<std::string, SeenNode>;

// Writes what the sandbox has beyond its userland and was not seen before, with whiteouts for what
// is gone; `now` is what there is. Without `tar` it only looks. The report's entries: how many.
[[nodiscard]] Result<TransferReport> ExportChanges(backend::Keeper& keeper, const SeenTree& before,
                                                   SeenTree* now, archive::TarWriter* tar);

// kReplace: what the sandbox has beyond its userland and the image has not is removed. Files of the
// userland that were changed or removed before stay so, and are reported.
enum class ImportMode { kReplace = 0, kMerge = 1 };
[[nodiscard]] Result<TransferReport> ImportImage(backend::Keeper& keeper,
                                                 const archive::ImageReader& image, ImportMode mode,
                                                 const archive::TreeLimits& limits);

}  // namespace cordon::live

#endif  // CORDON_LIVE_TREE_TRANSFER_H_
