#ifndef CORDON_BACKEND_NATIVE_PREPARED_ROOT_H_
#define CORDON_BACKEND_NATIVE_PREPARED_ROOT_H_

// The skeletons of roots (skeleton.h), kept in the user's cache: making one takes longer than the
// namespaces around it. They hold copies of the machine's configuration that everybody may read,
// names and links; no secret, nothing of a project.
//
// Only its owner can have made one: it lies in a folder that is his alone, gets its name when it is
// whole, and is valid until the machine starts again. No command can write one: it is mounted
// read-only, and a plan that shows the cache to be written is refused (policy).

#include <sys/types.h>

#include <optional>
#include <string>

#include "backend/native/generated_files.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

class PreparedRoot {
 public:
  // That of the plan, by this process's user. Nothing where there is none, or anything about it is
  // not as it should be: then the root is made in memory.
  [[nodiscard]] static std::optional<PreparedRoot> Find(const std::string& cache_folder,
                                                        const policy::Plan& plan,
                                                        const Identity& identity);

  // Makes that of the plan for the next command, where there is none. Takes as long as a command
  // does to start: while one runs. Nothing is made in a cache that is missing, another's or
  // read-only, nor for a plan whose skeleton cannot be described.
  static void Keep(const std::string& cache_folder, const policy::Plan& plan,
                   const Identity& identity);

  // The directory, as the calling process's mount namespace has it. Invalid if it is another now.
  [[nodiscard]] OwnedFd Open() const;

 private:
  PreparedRoot(std::string path, OwnedFd held, dev_t device, ino_t inode)
      : path_(std::move(path)), held_(std::move(held)), device_(device), inode_(inode) {}

  std::string path_;
  OwnedFd held_;  // with a lock, so that nobody removes it under a command
  dev_t device_;
  ino_t inode_;
};

enum class Removal { kCount, kRemove };
// Those that no command runs in: how many there are.
[[nodiscard]] size_t RemovePreparedRoots(const std::string& cache_folder, Removal removal);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_PREPARED_ROOT_H_
