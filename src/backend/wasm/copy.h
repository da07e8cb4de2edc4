#ifndef CORDON_BACKEND_WASM_COPY_H_
#define CORDON_BACKEND_WASM_COPY_H_

// Files and trees between the host and the sandbox: regular files, directories and symbolic links,
// with their permissions.

#include <span>
#include <string>
#include <vector>

#include "backend/wasm/mailbox.h"
#include "backend/wasm/run.h"
#include "base/error.h"

namespace cordon::backend {

// The files of a sandbox, as far as copying needs them.
class GuestFiles {
 public:
  virtual ~GuestFiles() = default;
  // Parents are made too; a directory that exists is no failure.
  [[nodiscard]] virtual Status MakeDirectory(const std::string& path, uint32_t mode) = 0;
  // Files are written from their first byte on: offset 0 begins one anew.
  [[nodiscard]] virtual Status WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                                         std::span<const char> bytes) = 0;
  [[nodiscard]] virtual Status MakeSymlink(const std::string& target, const std::string& path) = 0;
  // Some of its bytes; none at the end.
  [[nodiscard]] virtual Result<std::vector<std::byte>> ReadFile(const std::string& path,
                                                                uint64_t offset) = 0;
  // Of the path itself, no link is followed.
  [[nodiscard]] virtual Result<GuestStat> ReadStat(const std::string& path) = 0;
  [[nodiscard]] virtual Result<std::vector<GuestEntry>> ListDirectory(const std::string& path) = 0;
};

// Links inside a tree stay links; only the path that the user named is followed.
[[nodiscard]] Status CopyIn(GuestFiles& files, const std::vector<CopyRequest>& requests);
[[nodiscard]] Status CopyIn(Mailbox& mailbox, const std::vector<CopyRequest>& requests);

// The tree is the guest's and hostile: it is written beneath the directory that the user named, and
// nothing in it can make the keeper write elsewhere.
// The names of what was left out: FIFOs, sockets and devices.
[[nodiscard]] Result<std::vector<std::string>> CopyOut(GuestFiles& files,
                                                       const std::vector<CopyRequest>& requests);
[[nodiscard]] Result<std::vector<std::string>> CopyOut(Mailbox& mailbox,
                                                       const std::vector<CopyRequest>& requests);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_COPY_H_
