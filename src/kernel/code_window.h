#ifndef CORDON_KERNEL_CODE_WINDOW_H_
#define CORDON_KERNEL_CODE_WINDOW_H_

// Programs that are not in the userland image. The keeper has them compiled and writes the objects
// into a memfd that the template maps readable and executable; nothing inside can change it,
// because it is sealed against writing (F_SEAL_WRITE, or F_SEAL_FUTURE_WRITE where the keeper, with
// the one mapping that was made before the seal, goes on adding modules). A file in the sandbox is
// such a program if its contents have the hash of a module here, under whatever name and wherever
// it was copied to. Modules are only added: one that is compiled better is added again, and the
// last counts. Where only some programs may be started (kernel/tool_policy.h), the keeper says here
// which of these are among them.

#include <cstdint>

#include "vfs/filesystem.h"

namespace cordon {

inline constexpr uint32_t kCodeWindowMagic = 0x43524e57;  // "CRNW"
inline constexpr uint32_t kMaxWindowModules = 1024;

struct CodeWindowEntry {
  uint8_t module_hash[32];  // SHA-256 of the module
  uint64_t module_size;
  uint64_t object_offset;  // of wasm::ObjectHeader, page-aligned
  uint64_t object_size;
  uint64_t metadata_size;
  uint64_t image_offset;  // in the object
  uint64_t is_optimised;
  uint64_t is_allowed;  // in every entry of a hash alike; set while others read, never taken back
};
struct CodeWindowHeader {
  uint32_t magic;
  uint32_t count;  // grows when an entry is complete
  CodeWindowEntry entries[kMaxWindowModules];
};

// Entries that are complete.
inline uint32_t CountOf(const CodeWindowHeader& header) {
  return __atomic_load_n(&header.count, __ATOMIC_ACQUIRE);
}

namespace kernel {

// Whether the file has the contents of a program, of the code window or of the userland image.
// Reads all of it when it is first asked about.
[[nodiscard]] bool FindByContents(const vfs::Node& file, vfs::Program* out);

// Whether it is a program of the code window, and the keeper says that it may be started.
[[nodiscard]] bool IsAllowedByKeeper(const vfs::Program& program);

// Before the first process that is cloned: what is found is found once for all of them.
void CreateKnownPrograms();

}  // namespace kernel
}  // namespace cordon

#endif  // CORDON_KERNEL_CODE_WINDOW_H_
