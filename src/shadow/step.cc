#include "shadow/step.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "shadow/copy.h"
#include "shadow/quote.h"

namespace cordon::shadow {
namespace {

int Rename(int from, const std::string& old_name, int to, const std::string& new_name,
           unsigned flags) {
  return static_cast<int>(
      syscall(SYS_renameat2, from, old_name.c_str(), to, new_name.c_str(), flags));
}

std::unexpected<Error> Moved(const std::string& path) {
  return Fail(ErrorCode::kInvalid, "changed while it was committed", QuoteName(path));
}

bool IsEmptyFolder(int staging, const std::string& slot) {
  // Removing and making it again would lose its attributes; a look is enough, for nobody else
  // enters the staging directory.
  const OwnedFd fd(openat(staging, slot.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return false;
  bool is_empty = true;
  char bytes[4096];
  constexpr size_t kHeader = 19;  // of a linux_dirent64, before the name
  for (;;) {
    const long got = syscall(SYS_getdents64, fd.get(), bytes, sizeof bytes);
    if (got <= 0) return got == 0 && is_empty;
    for (long at = 0; at < got;) {
      uint16_t size = 0;
      memcpy(&size, bytes + at + kHeader - 3, sizeof size);
      const std::string_view name(bytes + at + kHeader);
      if (name != "." && name != "..") is_empty = false;
      at += size;
    }
  }
}

// What came out is what was judged: the same node, not written since.
bool IsExpected(int staging, const std::string& slot, const Stat& expected) {
  const Result<std::optional<Stat>> now = LookAt(staging, slot);
  if (!now || !*now) return false;
  const Stat& stat = **now;
  if (stat.identity.inode != expected.identity.inode || stat.node.type != expected.node.type)
    return false;
  if (stat.node.type == NodeType::kDirectory) return IsEmptyFolder(staging, slot);
  return stat.identity.size == expected.identity.size &&
         stat.identity.mtime_ns == expected.identity.mtime_ns &&
         stat.node.mode == expected.node.mode && stat.node.target == expected.node.target;
}

Status SetMode(const Tree& workspace, const Step& step, uint32_t mode) {
  const Result<OwnedFd> node = workspace.OpenAt(step.path, O_PATH | O_NOFOLLOW);
  if (!node) return std::unexpected(node.error());
  const Result<Stat> stat = LookAtOpen(node->get());
  if (!stat) return std::unexpected(stat.error());
  if (stat->identity.inode != step.old_inode || stat->node.type == NodeType::kLink)
    return Moved(step.path);
  if (step.sets_time && mode == step.new_mode) {
    const Result<Place> place = workspace.OpenParent(step.path);
    if (!place) return std::unexpected(place.error());
    CORDON_TRY(SetTime(place->folder.get(), place->name, step.mtime_ns));
  }
  const std::string name = "/proc/self/fd/" + std::to_string(node->get());
  if (chmod(name.c_str(), mode) != 0) return SystemError("chmod(" + QuoteName(step.path) + ")");
  return {};
}

uint64_t InodeAt(int folder, const std::string& name) {
  const Result<std::optional<Stat>> stat = LookAt(folder, name);
  return stat && *stat ? (*stat)->identity.inode : 0;
}

std::unexpected<Error> Failed(const char* call, const Step& step) {
  return SystemError(std::string(call) + "(" + QuoteName(step.path) + ")");
}

}  // namespace

std::string SlotName(size_t index) {
  return std::to_string(index);
}

Status TakeStep(const Tree& workspace, int staging, size_t index, const Step& step,
                const std::optional<Stat>& expected) {
  if (step.kind == StepKind::kMode) return SetMode(workspace, step, step.new_mode);
  const Result<Place> place = workspace.OpenParent(step.path);
  if (!place) return std::unexpected(place.error());
  const std::string slot = SlotName(index);
  const int folder = place->folder.get();
  switch (step.kind) {
    case StepKind::kAdd:
      if (Rename(staging, slot, folder, place->name, RENAME_NOREPLACE) == 0) return {};
      return errno == EEXIST ? Moved(step.path) : Failed("renameat2", step);
    case StepKind::kReplace:
      if (Rename(staging, slot, folder, place->name, RENAME_EXCHANGE) != 0)
        return errno == ENOENT ? Moved(step.path) : Failed("renameat2", step);
      if (expected && IsExpected(staging, slot, *expected)) return {};
      if (Rename(staging, slot, folder, place->name, RENAME_EXCHANGE) != 0)
        return Failed("renameat2", step);
      return Moved(step.path);
    case StepKind::kRemove:
      if (Rename(folder, place->name, staging, slot, RENAME_NOREPLACE) != 0)
        return errno == ENOENT ? Moved(step.path) : Failed("renameat2", step);
      if (expected && IsExpected(staging, slot, *expected)) return {};
      if (Rename(staging, slot, folder, place->name, RENAME_NOREPLACE) != 0)
        return Failed("renameat2", step);
      return Moved(step.path);
    case StepKind::kMode:
      break;
  }
  return {};
}

Status UndoStep(const Tree& workspace, int staging, size_t index, const Step& step) {
  const std::string slot = SlotName(index);
  if (step.kind == StepKind::kMode) {
    const Result<std::optional<Stat>> now = workspace.Look(step.path);
    if (!now || !*now || (*now)->identity.inode != step.old_inode ||
        (*now)->node.mode != step.new_mode) {
      return {};
    }
    return SetMode(workspace, step, step.old_mode);
  }
  const Result<Place> place = workspace.OpenParent(step.path);
  // The directory went away: nothing of ours is in it, or somebody took it.
  if (!place && (place.error().system_errno == ENOENT || place.error().system_errno == ENOTDIR ||
                 place.error().system_errno == ELOOP)) {
    return {};
  }
  if (!place) return std::unexpected(place.error());
  const int folder = place->folder.get();
  const uint64_t there = InodeAt(folder, place->name);
  const uint64_t in_slot = InodeAt(staging, slot);
  switch (step.kind) {
    case StepKind::kAdd:
      if (in_slot != 0 || there != step.new_inode) return {};
      if (Rename(folder, place->name, staging, slot, RENAME_NOREPLACE) == 0) return {};
      return Failed("renameat2", step);
    case StepKind::kReplace:
      if (in_slot == 0 || in_slot == step.new_inode) return {};
      if (there == step.new_inode) {
        if (Rename(folder, place->name, staging, slot, RENAME_EXCHANGE) == 0) return {};
        return Failed("renameat2", step);
      }
      // Ours was removed by somebody: what it had been comes back.
      if (there != 0) return {};
      if (Rename(staging, slot, folder, place->name, RENAME_NOREPLACE) == 0) return {};
      return Failed("renameat2", step);
    case StepKind::kRemove:
      if (in_slot == 0 || there != 0) return {};
      if (Rename(staging, slot, folder, place->name, RENAME_NOREPLACE) == 0) return {};
      return Failed("renameat2", step);
    case StepKind::kMode:
      break;
  }
  return {};
}

Result<bool> ClearSlot(int staging, size_t index, const Step& step, SlotHas has) {
  const std::string slot = SlotName(index);
  const Result<std::optional<Stat>> stat = LookAt(staging, slot);
  if (!stat) return std::unexpected(stat.error());
  if (!*stat) return true;
  if (has == SlotHas::kNewNode) {
    if ((*stat)->identity.inode != step.new_inode) return false;
    if ((*stat)->node.type == NodeType::kFile && step.new_sha256) {
      const OwnedFd fd(openat(staging, slot.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      // Who may not read it has not written it.
      const Result<Sha256::Digest> digest =
          fd.valid() ? HashOpen(fd.get()) : Result<Sha256::Digest>(*step.new_sha256);
      if (!digest || *digest != *step.new_sha256) return false;
    }
  }
  const int flags = (*stat)->node.type == NodeType::kDirectory ? AT_REMOVEDIR : 0;
  if (unlinkat(staging, slot.c_str(), flags) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  return SystemError("unlinkat(" + slot + ")");
}

}  // namespace cordon::shadow
