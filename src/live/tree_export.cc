#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
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

// What an export leaves out because it was seen before, and what it sees.
struct Memory {
  const SeenTree& before;
  SeenTree& now;
};

class Exporter {
 public:
  // Without a tar it only looks; without a memory everything is new.
  Exporter(backend::Keeper& keeper, archive::TarWriter* tar, Memory* memory, TransferReport* report)
      : calls_(keeper), tar_(tar), memory_(memory), report_(*report) {}

  // `top` is the directory in the sandbox; names in the archive begin below it.
  Status Run(const std::string& top, TreeCalls::Extent extent) {
    top_ = top == "/" ? "" : top;
    CORDON_TRY(AddDirectory("", extent, 0));
    return memory_ == nullptr ? Status() : AddLost();
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
    if (!nodes) {
      const int error = nodes.error().system_errno;
      const bool is_gone = !path.empty() && (error == ENOENT || error == ENOTDIR || error == ELOOP);
      // A guest has just removed it.
      return is_gone ? Status() : std::unexpected(nodes.error());
    }
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
    const bool is_known = Remember(path, node);
    if ((node.changes & control::kTreeRemoved) != 0) return is_known ? Status() : AddWhiteout(path);
    Entry entry;
    entry.path = path;
    entry.permissions = node.mode & kPermissions;
    entry.uid = node.uid;
    entry.gid = node.gid;
    entry.mtime_ns = node.mtime_ns;
    switch (node.mode & S_IFMT) {
      case S_IFDIR:
        return AddSubdirectory(std::move(entry), node, extent, depth, is_known);
      case S_IFLNK:
        entry.kind = Kind::kSymlink;
        entry.target = node.target;
        break;
      case S_IFIFO:
        entry.kind = Kind::kFifo;
        break;
      case S_IFREG:
        return AddFile(std::move(entry), node, is_known);
      default:
        report_.skipped.Add(path, "a device or socket");
        return {};
    }
    return is_known ? Status() : Add(entry);
  }

  // True: it is as it was.
  bool Remember(const std::string& path, const TreeNode& node) {
    if (memory_ == nullptr) return false;
    const SeenNode seen = {node.inode, node.ctime_ns, (node.changes & control::kTreeRemoved) != 0,
                           S_ISDIR(node.mode)};
    memory_->now[path] = seen;
    const auto found = memory_->before.find(path);
    return found != memory_->before.end() && found->second == seen;
  }

  // Names that were there, and nothing is. Whoever takes the directory away takes what is in it.
  Status AddLost() {
    for (const auto& [path, seen] : memory_->before) {
      if (memory_->now.contains(path)) continue;
      const size_t slash = path.rfind('/');
      const auto parent = slash == std::string::npos ? memory_->now.end()
                                                     : memory_->now.find(path.substr(0, slash));
      const bool is_top = slash == std::string::npos;
      if (is_top || (parent != memory_->now.end() && parent->second.is_directory)) {
        CORDON_TRY(AddWhiteout(path));
      }
    }
    return {};
  }

  // A directory of the userland is part of an image only for what is in it.
  Status AddSubdirectory(Entry entry, const TreeNode& node, TreeCalls::Extent extent, int depth,
                         bool is_known) {
    entry.kind = Kind::kDirectory;
    const bool is_new = (node.changes & control::kTreeNew) != 0;
    const bool was_pending = node.changes == 0 || is_known;
    if (was_pending) {
      pending_.push_back(entry);
    } else {
      CORDON_TRY(Add(entry));
    }
    if ((node.changes & control::kTreeHides) != 0 && !is_known) {
      Entry opaque;
      opaque.path = entry.path + "/.wh..wh..opq";
      CORDON_TRY(Add(opaque));
    }
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

  // One name of a file with several is written whole, the others are links to it; so as soon as one
  // of them is new, all are written.
  Status AddFile(Entry entry, const TreeNode& node, bool is_known) {
    entry.size = node.size;
    if (node.links <= 1) return is_known ? Status() : AddWhole(entry);
    const auto first = names_.find(node.inode);
    if (first != names_.end()) return AddLink(entry, first->second);
    std::vector<Entry>& known = known_names_[node.inode];
    if (is_known) {
      known.push_back(std::move(entry));
      return {};
    }
    names_[node.inode] = entry.path;
    CORDON_TRY(AddWhole(entry));
    for (const Entry& other : known) CORDON_TRY(AddLink(other, entry.path));
    return {};
  }

  Status AddLink(Entry entry, const std::string& target) {
    entry.kind = Kind::kHardLink;
    entry.target = target;
    entry.size = 0;
    return Add(entry);
  }

  Status AddWhole(const Entry& entry) {
    CORDON_TRY(Add(entry));
    return tar_ == nullptr ? Status() : AddContents(entry);
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
      CORDON_TRY(tar_->Data(std::span(*bytes).first(count)));
      done += count;
    }
    if (done < entry.size) report_.skipped.Add(entry.path, "became shorter while it was read");
    const std::vector<std::byte> zeros(std::min<uint64_t>(entry.size - done, 1 << 20));
    while (done < entry.size) {
      const size_t count = std::min<uint64_t>(zeros.size(), entry.size - done);
      CORDON_TRY(tar_->Data(std::span(zeros).first(count)));
      done += count;
    }
    return {};
  }

  Status Add(const Entry& entry) {
    for (const Entry& directory : std::exchange(pending_, {})) {
      ++report_.entries;
      if (tar_ != nullptr) CORDON_TRY(tar_->Add(directory));
    }
    ++report_.entries;
    return tar_ == nullptr ? Status() : tar_->Add(entry);
  }

  TreeCalls calls_;
  archive::TarWriter* tar_;
  Memory* memory_;
  TransferReport& report_;
  std::string top_;
  std::vector<Entry> pending_;  // directories above, not added yet
  // Of files with several names: the one that was written, and those that were left out so far.
  std::map<uint64_t, std::string> names_;
  std::map<uint64_t, std::vector<Entry>> known_names_;
};

}  // namespace

Result<TransferReport> PackDirectory(backend::Keeper& keeper, const std::string& path, int fd,
                                     uint64_t most_bytes) {
  TransferReport report;
  archive::FileSink file(fd, 0, most_bytes);
  archive::TarWriter tar(file);
  CORDON_TRY(Exporter(keeper, &tar, nullptr, &report).Run(path, TreeCalls::Extent::kAll));
  CORDON_TRY(tar.Finish());
  report.size = file.offset();
  return report;
}

Result<TransferReport> ExportImage(backend::Keeper& keeper, const archive::ImageConfig& config,
                                   int fd, uint64_t most_bytes) {
  TransferReport report;
  const auto image = archive::WriteImage(fd, most_bytes, config, [&](archive::TarWriter& tar) {
    return Exporter(keeper, &tar, nullptr, &report).Run("/", TreeCalls::Extent::kChanges);
  });
  if (!image) return std::unexpected(image.error());
  report.size = image->size;
  report.digest = image->digest;
  return report;
}

Result<TransferReport> ExportChanges(backend::Keeper& keeper, const SeenTree& before, SeenTree* now,
                                     archive::TarWriter* tar) {
  TransferReport report;
  Memory memory = {before, *now};
  CORDON_TRY(Exporter(keeper, tar, &memory, &report).Run("/", TreeCalls::Extent::kChanges));
  return report;
}

}  // namespace cordon::live
