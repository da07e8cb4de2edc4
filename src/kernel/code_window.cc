#include "kernel/code_window.h"

#include <cstring>

#include "arena/layout.h"
#include "base/sha256.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// What was asked last, by any process: a large program would otherwise be hashed whenever it is
// started. The time of the last change of status cannot be set by a guest.
struct Known {
  uint64_t inode;
  int64_t size;
  vfs::Time changed;
  uint32_t window_count;  // a window that has grown may have better code
  vfs::Program program;
};
constexpr uint32_t kKnown = 64;
struct KnownPrograms {
  Mutex lock;
  Known entries[kKnown];
  uint32_t next = 0;
};
KnownPrograms* known = nullptr;  // in the arena; the pointer is inherited by clones

bool Recall(const vfs::Stat& stat, uint32_t window_count, vfs::Program* out) {
  if (known == nullptr) return false;
  const MutexLock lock(known->lock, LockRank::kInode);
  for (const Known& one : known->entries) {
    if (one.program.metadata == nullptr || one.inode != stat.inode || one.size != stat.size ||
        one.window_count != window_count || one.changed.seconds != stat.ctime.seconds ||
        one.changed.nanoseconds != stat.ctime.nanoseconds)
      continue;
    *out = one.program;
    return true;
  }
  return false;
}

void Remember(const vfs::Stat& stat, uint32_t window_count, const vfs::Program& program) {
  if (known == nullptr) return;
  const MutexLock lock(known->lock, LockRank::kInode);
  known->entries[known->next++ % kKnown] = {stat.inode, stat.size, stat.ctime, window_count,
                                            program};
}

const CodeWindowHeader* Window() {
  if (TheKernel().control->code_window_bytes < sizeof(CodeWindowHeader)) return nullptr;
  const auto* header = reinterpret_cast<const CodeWindowHeader*>(layout::kCodeWindow);
  const uint32_t count = CountOf(*header);
  return count > 0 && count <= kMaxWindowModules && header->magic == kCodeWindowMagic ? header
                                                                                      : nullptr;
}

bool Hash(const vfs::Node& file, Sha256::Digest* digest) {
  std::byte part[8192];
  Sha256 hash;
  for (uint64_t offset = 0;;) {
    const int64_t got = file.fs->Read(file.id, offset, part, sizeof part);
    if (got < 0) return false;
    if (got == 0) break;
    hash.Update({part, static_cast<size_t>(got)});
    offset += static_cast<uint64_t>(got);
  }
  *digest = hash.Finish();
  return true;
}

const CodeWindowEntry* FindInWindow(const CodeWindowHeader& window, const vfs::Node& file,
                                    int64_t size) {
  Sha256::Digest digest;
  bool hashed = false;
  for (uint32_t i = CountOf(window); i-- > 0;) {
    const CodeWindowEntry& entry = window.entries[i];
    if (entry.module_size != static_cast<uint64_t>(size)) continue;
    if (!hashed && !Hash(file, &digest)) return nullptr;
    hashed = true;
    if (memcmp(entry.module_hash, digest.data(), digest.size()) == 0) return &entry;
  }
  return nullptr;
}

}  // namespace

void CreateKnownPrograms() {
  known = TheKernel().arena->New<KnownPrograms>();
}

bool FindByContents(const vfs::Node& file, vfs::Program* out) {
  vfs::Stat stat;
  if (file.fs->GetStat(file.id, &stat) != 0) return false;
  const CodeWindowHeader* window = Window();
  const uint32_t count = window == nullptr ? 0 : CountOf(*window);
  if (Recall(stat, count, out)) return true;
  const CodeWindowEntry* entry =
      window == nullptr ? nullptr : FindInWindow(*window, file, stat.size);
  if (entry != nullptr) {
    const auto* object =
        reinterpret_cast<const std::byte*>(layout::kCodeWindow + entry->object_offset);
    *out = {object, entry->metadata_size, object + entry->image_offset};
  } else if (!file.fs->CopiedProgramOf(file.id, out)) {
    return false;
  }
  Remember(stat, count, *out);
  return true;
}

bool IsAllowedByKeeper(const vfs::Program& program) {
  const CodeWindowHeader* window = Window();
  const uint32_t count = window == nullptr ? 0 : CountOf(*window);
  const auto at = reinterpret_cast<uint64_t>(program.metadata);
  for (uint32_t i = 0; i < count; ++i) {
    const CodeWindowEntry& entry = window->entries[i];
    if (layout::kCodeWindow + entry.object_offset != at) continue;
    return __atomic_load_n(&entry.is_allowed, __ATOMIC_ACQUIRE) != 0;
  }
  return false;
}

}  // namespace cordon::kernel
