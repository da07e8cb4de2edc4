#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "archive/tar.h"
#include "backend/wasm/tree_calls.h"
#include "live/tree_transfer.h"

namespace cordon::live {
namespace {

using archive::Entry;
using archive::Kind;
using backend::TreeCalls;
using backend::TreeNode;

constexpr int kMaxDepth = 256;
constexpr uint32_t kPermissions = 07777;
// Made anew in every sandbox.
constexpr std::string_view kOwnDirectories[] = {"dev", "proc", "run", "sys"};

class Exporter {
 public:
  Exporter(backend::Keeper& keeper, archive::TarWriter& tar, TransferReport* report)
      : calls_(keeper), tar_(tar), report_(*report) {}

  // `top` is the directory in the sandbox; names in the archive begin below it.
  Status Run(const std::string& top, TreeCalls::Extent extent) {
    top_ = top == "/" ? "" : top;
    return AddDirectory("", extent, 0);
  }

 private:
  [[nodiscard]] std::string PlaceOf(const std::string& path) const {
    return path.empty() ? (top_.empty() ? "/" : top_) : top_ + "/" + path;
  }

  Status AddDirectory(const std::string& path, TreeCalls::Extent extent, int depth) {
    if (depth > kMaxDepth) {
      report_.skipped.Add(path, "nested too deeply");
      return {};
    }
    const Result<std::vector<TreeNode>> nodes = calls_.List(PlaceOf(path), extent);
    if (!nodes) return std::unexpected(nodes.error());
    for (const TreeNode& node : *nodes) {
      const bool is_own =
          extent == TreeCalls::Extent::kChanges && path.empty() &&
          std::ranges::find(kOwnDirectories, node.name) != std::ranges::end(kOwnDirectories);
      if (is_own) continue;
      CORDON_TRY(AddNode(path.empty() ? node.name : path + "/" + node.name, node, extent, depth));
    }
    return {};
  }

  Status AddNode(const std::string& path, const TreeNode& node, TreeCalls::Extent extent,
                 int depth) {
    if ((node.changes & control::kTreeRemoved) != 0) return AddWhiteout(path);
    Entry entry;
    entry.path = path;
    entry.permissions = node.mode & kPermissions;
    entry.uid = node.uid;
    entry.gid = node.gid;
    entry.mtime_ns = node.mtime_ns;
    switch (node.mode & S_IFMT) {
      case S_IFDIR:
        return AddSubdirectory(std::move(entry), node, extent, depth);
      case S_IFLNK:
        entry.kind = Kind::kSymlink;
        entry.target = node.target;
        break;
      case S_IFIFO:
        entry.kind = Kind::kFifo;
        break;
      case S_IFREG:
        return AddFile(std::move(entry), node);
      default:
        report_.skipped.Add(path, "a device or socket");
        return {};
    }
    return Add(entry);
  }

  // A directory of the userland is part of an image only for what is in it.
  Status AddSubdirectory(Entry entry, const TreeNode& node, TreeCalls::Extent extent, int depth) {
    entry.kind = Kind::kDirectory;
    const bool is_new = (node.changes & control::kTreeNew) != 0;
    if (is_new || node.changes != 0) {
      CORDON_TRY(Add(entry));
    } else {
      pending_.push_back(entry);
    }
    if ((node.changes & control::kTreeHides) != 0) {
      Entry opaque;
      opaque.path = entry.path + "/.wh..wh..opq";
      CORDON_TRY(Add(opaque));
    }
    const bool was_pending = node.changes == 0;
    const size_t before = pending_.size();
    CORDON_TRY(AddDirectory(entry.path, is_new ? TreeCalls::Extent::kAll : extent, depth + 1));
    if (was_pending && pending_.size() == before) pending_.pop_back();
    return {};
  }

  Status AddWhiteout(const std::string& path) {
    const size_t slash = path.rfind('/');
    Entry entry;
    entry.path = slash == std::string::npos
                     ? ".wh." + path
                     : path.substr(0, slash + 1) + ".wh." + path.substr(slash + 1);
    return Add(entry);
  }

  Status AddFile(Entry entry, const TreeNode& node) {
    if (node.links > 1) {
      const auto [first, is_first] = names_.try_emplace(node.inode, entry.path);
      if (!is_first) {
        entry.kind = Kind::kHardLink;
        entry.target = first->second;
        return Add(entry);
      }
    }
    entry.size = node.size;
    CORDON_TRY(Add(entry));
    return AddContents(entry);
  }

  // A guest may change the file meanwhile: the archive has as many bytes as its header says.
  Status AddContents(const Entry& entry) {
    const std::string place = PlaceOf(entry.path);
    uint64_t done = 0;
    while (done < entry.size) {
      const Result<std::vector<std::byte>> bytes = calls_.Read(place, done);
      if (!bytes && bytes.error().code != ErrorCode::kSystem) return std::unexpected(bytes.error());
      if (!bytes || bytes->empty()) break;
      const size_t count = std::min<uint64_t>(bytes->size(), entry.size - done);
      CORDON_TRY(tar_.Data(std::span(*bytes).first(count)));
      done += count;
    }
    if (done < entry.size) report_.skipped.Add(entry.path, "became shorter while it was read");
    const std::vector<std::byte> zeros(std::min<uint64_t>(entry.size - done, 1 << 20));
    while (done < entry.size) {
      const size_t count = std::min<uint64_t>(zeros.size(), entry.size - done);
      CORDON_TRY(tar_.Data(std::span(zeros).first(count)));
      done += count;
    }
    return {};
  }

  Status Add(const Entry& entry) {
    for (const Entry& directory : std::exchange(pending_, {})) {
      ++report_.entries;
      CORDON_TRY(tar_.Add(directory));
    }
    ++report_.entries;
    return tar_.Add(entry);
  }

  TreeCalls calls_;
  archive::TarWriter& tar_;
  TransferReport& report_;
  std::string top_;
  std::vector<Entry> pending_;             // directories above, not added yet
  std::map<uint64_t, std::string> names_;  // of files with several
};

}  // namespace

Result<TransferReport> PackDirectory(backend::Keeper& keeper, const std::string& path, int fd,
                                     uint64_t most_bytes) {
  TransferReport report;
  archive::FileSink file(fd, 0, most_bytes);
  archive::TarWriter tar(file);
  CORDON_TRY(Exporter(keeper, tar, &report).Run(path, TreeCalls::Extent::kAll));
  CORDON_TRY(tar.Finish());
  report.size = file.offset();
  return report;
}

Result<TransferReport> ExportImage(backend::Keeper& keeper, const archive::ImageConfig& config,
                                   int fd, uint64_t most_bytes) {
  TransferReport report;
  const auto image = archive::WriteImage(fd, most_bytes, config, [&](archive::TarWriter& tar) {
    return Exporter(keeper, tar, &report).Run("/", TreeCalls::Extent::kChanges);
  });
  if (!image) return std::unexpected(image.error());
  report.size = image->size;
  report.digest = image->digest;
  return report;
}

}  // namespace cordon::live
