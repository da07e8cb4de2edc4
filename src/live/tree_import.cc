#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <set>

#include "archive/sealed_bytes.h"
#include "archive/tar.h"
#include "archive/unpacker_process.h"
#include "backend/wasm/tree_calls.h"
#include "backend/wasm/tree_contents.h"
#include "live/tree_transfer.h"

namespace cordon::live {
namespace {

using archive::Entry;
using archive::Kind;
using Wanted = archive::ReadJob::Wanted;
using backend::TreeCalls;
using backend::TreeNode;

constexpr TreeCalls::Owner kUser = {1000, 1000};
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kOwnDirectories[] = {"dev", "proc", "run", "sys"};

bool IsOwn(const std::string& path) {
  return std::ranges::find(kOwnDirectories, path.substr(0, path.find('/'))) !=
         std::ranges::end(kOwnDirectories);
}

// Reads an archive to its end and makes nothing: whoever is refused is refused here.
class Rehearsal final : public archive::EntryVisitor {
 public:
  Status Begin(const Entry& entry) override {
    paths_.insert(entry.path);
    return {};
  }
  Status Data(uint64_t /*offset*/, std::span<const std::byte> /*bytes*/) override { return {}; }
  Status End() override { return {}; }
  [[nodiscard]] const std::set<std::string>& paths() const { return paths_; }

 private:
  std::set<std::string> paths_;
};

enum class Owners { kAsArchived, kUser };
enum class Whiteouts { kFiles, kRemovals };

class Importer final : public archive::EntryVisitor {
 public:
  Importer(backend::Keeper& keeper, const std::string& top, Owners owners, Whiteouts whiteouts,
           TransferReport* report)
      : calls_(keeper),
        contents_(keeper),
        top_(top == "/" ? "" : top),
        owners_(owners),
        whiteouts_(whiteouts),
        report_(*report) {}

  Status Begin(const Entry& entry) override {
    is_made_ = false;
    entry_ = entry;
    place_ = entry.path.empty() ? (top_.empty() ? "/" : top_) : top_ + "/" + entry.path;
    if (whiteouts_ == Whiteouts::kRemovals) {
      if (IsOwn(entry.path)) {
        report_.skipped.Add(entry.path, "made anew in every sandbox");
        return {};
      }
      if (TakeWhiteout()) return {};
    }
    if (entry.path.empty()) return {};
    CORDON_TRY(MakeParents());
    Status made = Make();
    // The parents are there: what is in the way has the entry's own name.
    const int error = made ? 0 : made.error().system_errno;
    if (error == EISDIR || error == ENOTDIR || error == ELOOP) {
      CORDON_TRY(calls_.Remove(place_));
      made = Make();
    }
    if (!made) return made;
    is_made_ = true;
    ++report_.entries;
    return {};
  }

  Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    return is_made_ ? contents_.Write(place_, offset, bytes) : Status();
  }

  Status End() override {
    if (!is_made_) return {};
    if (entry_.kind == Kind::kHardLink) {
      directories_.erase(place_);
      return {};
    }
    // The times of a directory change with what is made in it.
    if (entry_.kind == Kind::kDirectory) {
      directories_[place_] = entry_;
      return {};
    }
    // It may have the place of one.
    directories_.erase(place_);
    return SetAttributes(place_, entry_);
  }

  Status Finish() {
    for (const auto& [place, entry] : directories_) {
      const Status set = SetAttributes(place, entry);
      // A later entry may have removed it.
      if (!set && set.error().system_errno != ENOENT) return set;
    }
    return {};
  }

 private:
  [[nodiscard]] TreeCalls::Owner OwnerOf(const Entry& entry) const {
    return owners_ == Owners::kUser ? kUser : TreeCalls::Owner{entry.uid, entry.gid};
  }

  Status SetAttributes(const std::string& place, const Entry& entry) const {
    return calls_.SetAttributes(place, entry.permissions, OwnerOf(entry), entry.mtime_ns);
  }

  // Of an archive that does not name its directories.
  Status MakeParents() {
    for (size_t end = place_.find('/', 1); end != std::string::npos;
         end = place_.find('/', end + 1)) {
      const std::string parent = place_.substr(0, end);
      if (!parents_.insert(parent).second) continue;
      const Status made = calls_.Make(parent, S_IFDIR | 0755, kUser);
      if (!made) return made;
    }
    return {};
  }

  Status Make() const {
    uint32_t type = S_IFREG;
    switch (entry_.kind) {
      case Kind::kHardLink:
        return calls_.Link(top_ + "/" + entry_.target, place_);
      case Kind::kDirectory:
        type = S_IFDIR;
        break;
      case Kind::kSymlink:
        type = S_IFLNK;
        break;
      case Kind::kFifo:
        type = S_IFIFO;
        break;
      case Kind::kFile:
        break;
    }
    // Nobody but the owner sees a file before it is whole.
    const uint32_t mode = entry_.kind == Kind::kDirectory ? 0755 : 0600;
    return calls_.Make(place_, type | mode, OwnerOf(entry_), entry_.target);
  }

  // True: the entry was one.
  bool TakeWhiteout() {
    const size_t slash = entry_.path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : entry_.path.substr(0, slash + 1);
    const std::string name = entry_.path.substr(folder.size());
    if (!name.starts_with(kWhiteout)) return false;
    // What is removed may have been a parent.
    parents_.clear();
    if (name == kOpaque) {
      const std::string directory =
          top_ + "/" + folder.substr(0, folder.empty() ? 0 : folder.size() - 1);
      const auto nodes = calls_.List(directory, TreeCalls::Extent::kAll);
      if (!nodes) return true;
      for (const TreeNode& node : *nodes) (void)calls_.Remove(directory + "/" + node.name);
      ++report_.entries;
      return true;
    }
    // What is not there is not removed.
    (void)calls_.Remove(top_ + "/" + folder + name.substr(kWhiteout.size()));
    ++report_.entries;
    return true;
  }

  TreeCalls calls_;
  backend::TreeContents contents_;
  std::string top_;
  Owners owners_;
  Whiteouts whiteouts_;
  TransferReport& report_;
  Entry entry_;
  std::string place_;
  bool is_made_ = false;
  std::set<std::string> parents_;
  std::map<std::string, Entry> directories_;
};

// Removes what a sandbox has beyond its userland, where the image has nothing of that name.
class Clearing {
 public:
  Clearing(backend::Keeper& keeper, const std::set<std::string>& kept, TransferReport* report)
      : calls_(keeper), kept_(kept), report_(*report) {}

  Status Run(const std::string& path, int depth) {
    const Result<std::vector<TreeNode>> nodes =
        calls_.List("/" + path, TreeCalls::Extent::kChanges);
    if (!nodes) return std::unexpected(nodes.error());
    for (const TreeNode& node : *nodes) {
      const std::string below = path.empty() ? node.name : path + "/" + node.name;
      if (path.empty() && IsOwn(below)) continue;
      CORDON_TRY(Look(below, node, depth));
    }
    return {};
  }

 private:
  Status Look(const std::string& path, const TreeNode& node, int depth) {
    constexpr int kMaxDepth = 256;
    const bool is_directory = S_ISDIR(node.mode);
    const bool is_kept = kept_.contains(path);
    if ((node.changes & control::kTreeRemoved) != 0) {
      const size_t slash = path.rfind('/') + 1;
      const bool is_removed_too =
          kept_.contains(path.substr(0, slash) + std::string(kWhiteout) + path.substr(slash));
      if (!is_kept && !is_removed_too) {
        report_.skipped.Add(path, "of the userland, was removed before and is not restored");
      }
      return {};
    }
    if ((node.changes & control::kTreeNew) != 0 && !(is_directory && is_kept)) {
      return is_kept ? Status() : calls_.Remove("/" + path);
    }
    if ((node.changes & control::kTreeContents) != 0 && !is_kept) {
      report_.skipped.Add(path, "of the userland, was changed before and is not restored");
    }
    return is_directory && depth < kMaxDepth ? Run(path, depth + 1) : Status();
  }

  TreeCalls calls_;
  const std::set<std::string>& kept_;
  TransferReport& report_;
};

// After a rehearsal. It could be read then: if it cannot be now, somebody has ended the process
// that reads it, and all is made once more, so that nothing is left half done.
Result<TransferReport> MakeAll(const TransferReport& before,
                               const std::function<Status(TransferReport*)>& make) {
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    TransferReport report = before;
    const Status made = make(&report);
    if (made) return report;
    if (made.error().code != ErrorCode::kCorrupt || attempt == kAttempts) {
      return std::unexpected(made.error());
    }
  }
}

}  // namespace

archive::TreeLimits LimitsOf(const backend::SandboxOptions& options) {
  return {options.sizes.max_files, options.sizes.file_bytes};
}

uint64_t MostArchiveBytes(const backend::SandboxOptions& options) {
  constexpr uint64_t kHeadroom = uint64_t{64} << 20;  // headers, padding, blocks
  return 2 * options.sizes.file_bytes + kHeadroom;
}

Result<TransferReport> UnpackDirectory(backend::Keeper& keeper, const std::string& path, int fd,
                                       uint64_t size, const backend::SandboxOptions& options) {
  TransferReport report;
  const Result<archive::SealedBytes> bytes = archive::SealedBytes::Map(fd, size);
  if (!bytes) return std::unexpected(bytes.error());
  const archive::UnpackerProcess reader(options.unpacker_path);
  const auto read = [&](Wanted wanted, archive::EntryVisitor& visitor, archive::Skipped* skipped) {
    return archive::ReadTree(reader, {.bytes = bytes->bytes(), .fd = fd, .wanted = wanted},
                             LimitsOf(options), visitor, skipped);
  };
  Rehearsal rehearsal;
  archive::Skipped ignored;
  CORDON_TRY(read(Wanted::kNames, rehearsal, &ignored));
  report.size = size;
  return MakeAll(report, [&](TransferReport* made) -> Status {
    Importer importer(keeper, path, Owners::kUser, Whiteouts::kFiles, made);
    CORDON_TRY(read(Wanted::kEverything, importer, &made->skipped));
    return importer.Finish();
  });
}

Result<TransferReport> ImportImage(backend::Keeper& keeper, const archive::ImageReader& image,
                                   ImportMode mode, const archive::TreeLimits& limits) {
  TransferReport report;
  Rehearsal rehearsal;
  archive::Skipped ignored;
  CORDON_TRY(image.Read(Wanted::kNames, limits, rehearsal, &ignored));
  if (mode == ImportMode::kReplace) {
    CORDON_TRY(Clearing(keeper, rehearsal.paths(), &report).Run("", 0));
  }
  return MakeAll(report, [&](TransferReport* made) -> Status {
    Importer importer(keeper, "/", Owners::kAsArchived, Whiteouts::kRemovals, made);
    CORDON_TRY(image.Read(Wanted::kEverything, limits, importer, &made->skipped));
    return importer.Finish();
  });
}

}  // namespace cordon::live
