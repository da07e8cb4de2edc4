// The code window of a sandbox (kernel/code_window.h): filled before it starts, or as long as it
// runs.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "arena/layout.h"
#include "backend/wasm/modules.h"
#include "kernel/code_window.h"
#include "wasm/object.h"

namespace cordon::backend {
namespace {

uint64_t RoundUp(uint64_t size) {
  return (size + layout::kPageBytes - 1) / layout::kPageBytes * layout::kPageBytes;
}

Sha256::Digest HashOf(const Module& module) {
  Sha256 hash;
  hash.Update(module.bytes);
  return hash.Finish();
}

Result<CodeWindowEntry> EntryOf(const Module& module, uint64_t object_offset) {
  const Result<wasm::ObjectView> view = wasm::ParseObject(module.object);
  if (!view) return std::unexpected(view.error());
  const Sha256::Digest digest = HashOf(module);
  CodeWindowEntry entry = {};
  std::ranges::copy(digest, entry.module_hash);
  entry.module_size = module.bytes.size();
  entry.object_offset = object_offset;
  entry.object_size = module.object.size();
  entry.metadata_size = view->header->metadata_size;
  entry.image_offset = view->header->image_offset;
  entry.is_optimised = module.is_optimised ? 1 : 0;
  return entry;
}

const CodeWindowEntry* FindEntry(const CodeWindowHeader& header, const Sha256::Digest& hash) {
  for (uint32_t i = CountOf(header); i-- > 0;) {
    if (std::ranges::equal(header.entries[i].module_hash, hash)) return &header.entries[i];
  }
  return nullptr;
}

bool IsAllowed(const CodeWindowEntry* entry) {
  return entry != nullptr && entry->is_allowed != 0;
}

void AllowAll(CodeWindowHeader& header, const Sha256::Digest& hash) {
  for (uint32_t i = 0; i < CountOf(header); ++i) {
    CodeWindowEntry& entry = header.entries[i];
    if (!std::ranges::equal(entry.module_hash, hash)) continue;
    __atomic_store_n(&entry.is_allowed, uint64_t{1}, __ATOMIC_RELEASE);
  }
}

// Of the processes that may write to a window: the keepers of a family. It goes with the process.
class WindowLock {
 public:
  explicit WindowLock(int file) : file_(file) {}
  ~WindowLock() { (void)Set(F_UNLCK); }
  WindowLock(const WindowLock&) = delete;
  WindowLock& operator=(const WindowLock&) = delete;

  Status Take() {
    while (Set(F_WRLCK) != 0) {
      if (errno != EINTR) return SystemError("fcntl(F_SETLKW)");
    }
    return {};
  }

 private:
  int Set(int16_t type) const {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return fcntl(file_, F_SETLKW, &lock);
  }
  int file_;
};

}  // namespace

Result<std::vector<std::byte>> BuildCodeWindow(std::span<const Module> modules) {
  if (modules.size() > kMaxWindowModules) {
    return Fail(ErrorCode::kLimit, "more than " + std::to_string(kMaxWindowModules) + " modules");
  }
  CodeWindowHeader header = {};
  header.magic = kCodeWindowMagic;
  header.count = static_cast<uint32_t>(modules.size());
  std::vector<std::byte> window(RoundUp(sizeof header));
  for (size_t i = 0; i < modules.size(); ++i) {
    const Result<CodeWindowEntry> entry = EntryOf(modules[i], window.size());
    if (!entry) return std::unexpected(entry.error());
    header.entries[i] = *entry;
    window.resize(window.size() + RoundUp(modules[i].object.size()));
    std::ranges::copy(modules[i].object,
                      window.begin() + static_cast<ptrdiff_t>(entry->object_offset));
  }
  memcpy(window.data(), &header, sizeof header);
  return window;
}

Status AddToCodeWindow(std::span<std::byte> window, int file, const Module& module,
                       Permission permission) {
  if (window.size() < sizeof(CodeWindowHeader)) {
    return Fail(ErrorCode::kInvalid, "the sandbox has no room for modules");
  }
  WindowLock lock(file);
  CORDON_TRY(lock.Take());
  auto& header = *reinterpret_cast<CodeWindowHeader*>(window.data());
  const Sha256::Digest hash = HashOf(module);
  const CodeWindowEntry* known = FindEntry(header, hash);
  const bool is_allowed = permission == Permission::kAllowed || IsAllowed(known);
  if (is_allowed) AllowAll(header, hash);
  if (known != nullptr && (known->is_optimised != 0 || !module.is_optimised)) return {};
  const uint32_t count = CountOf(header);
  // One after the other, in order.
  const uint64_t at = count == 0 ? RoundUp(sizeof header)
                                 : RoundUp(header.entries[count - 1].object_offset +
                                           header.entries[count - 1].object_size);
  if (count >= kMaxWindowModules || at > window.size() ||
      module.object.size() > window.size() - at) {
    return Fail(ErrorCode::kLimit, "the sandbox has no room for more code");
  }
  Result<CodeWindowEntry> entry = EntryOf(module, at);
  if (!entry) return std::unexpected(entry.error());
  entry->is_allowed = is_allowed ? 1 : 0;
  std::ranges::copy(module.object, window.begin() + static_cast<ptrdiff_t>(at));
  header.magic = kCodeWindowMagic;
  header.entries[count] = *entry;
  // Whoever sees it sees what is above.
  __atomic_store_n(&header.count, count + 1, __ATOMIC_RELEASE);
  return {};
}

}  // namespace cordon::backend
