#include "kernel/code_window.h"

#include <cstring>

#include "arena/layout.h"
#include "base/sha256.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// What was asked last, in private memory of a process that its clones inherit. The time of the last
// change of status cannot be set by a guest.
struct Known {
  uint64_t inode;
  int64_t size;
  vfs::Time changed;
  vfs::Program program;
};
constexpr uint32_t kKnown = 8;
Known known[kKnown];
uint32_t next_known = 0;

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

bool FindByContents(const vfs::Node& file, vfs::Program* out) {
  vfs::Stat stat;
  if (file.fs->GetStat(file.id, &stat) != 0) return false;
  for (const Known& one : known) {
    if (one.program.metadata == nullptr || one.inode != stat.inode || one.size != stat.size ||
        one.changed.seconds != stat.ctime.seconds ||
        one.changed.nanoseconds != stat.ctime.nanoseconds)
      continue;
    *out = one.program;
    return true;
  }
  const CodeWindowHeader* window = Window();
  const CodeWindowEntry* entry =
      window == nullptr ? nullptr : FindInWindow(*window, file, stat.size);
  if (entry != nullptr) {
    const auto* object =
        reinterpret_cast<const std::byte*>(layout::kCodeWindow + entry->object_offset);
    *out = {object, entry->metadata_size, object + entry->image_offset};
  } else if (!file.fs->CopiedProgramOf(file.id, out)) {
    return false;
  }
  known[next_known++ % kKnown] = {stat.inode, stat.size, stat.ctime, *out};
  return true;
}

}  // namespace cordon::kernel
