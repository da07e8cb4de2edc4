#ifndef CORDON_BACKEND_WASM_TREE_CALLS_H_
#define CORDON_BACKEND_WASM_TREE_CALLS_H_

// Requests about whole trees to the service process behind the wall: with owners, times and hard
// links, as the sandbox's superuser, through no link. Answers are read as hostile.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/wasm/keeper.h"
#include "base/error.h"
#include "kernel/control.h"

namespace cordon::backend {

struct TreeNode {
  std::string name;
  uint32_t changes = 0;  // control::TreeChange
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  std::string target;
};

// Paths begin with '/'.
class TreeCalls {
 public:
  explicit TreeCalls(Keeper& keeper) : keeper_(keeper) {}

  // Sorted by name. kChanges: what the userland image has not, and directories, below which there
  // may be such.
  enum class Extent : uint32_t { kChanges = 0, kAll = 1 };
  [[nodiscard]] Result<std::vector<TreeNode>> List(const std::string& path, Extent extent) const;
  // No bytes: the end.
  [[nodiscard]] Result<std::vector<std::byte>> Read(const std::string& path, uint64_t offset) const;
  struct Owner {
    uint32_t uid;
    uint32_t gid;
  };
  // `mode` with its type. A file takes the place of another; a directory that is there stays.
  [[nodiscard]] Status Make(const std::string& path, uint32_t mode, Owner owner,
                            const std::string& target = {}) const;
  [[nodiscard]] Status Write(const std::string& path, uint64_t offset,
                             std::span<const std::byte> bytes) const;
  // Memory that whole chunks of contents can be written to (kernel/control.h kTreeHold), as offsets
  // that nobody has looked at; the earlier ones are given up. Fewer than were wanted: it is full.
  [[nodiscard]] Result<std::vector<uint64_t>> Hold(uint32_t chunks) const;
  // What was written there, from the place `first` on, becomes the file's.
  [[nodiscard]] Status TakeOver(const std::string& path, uint64_t offset, uint32_t first,
                                uint32_t bytes) const;
  [[nodiscard]] Status SetAttributes(const std::string& path, uint32_t mode, Owner owner,
                                     int64_t mtime_ns) const;
  [[nodiscard]] Status Link(const std::string& from, const std::string& to) const;
  [[nodiscard]] Status Remove(const std::string& path) const;

 private:
  [[nodiscard]] Result<ServiceAnswer> Call(control::Request request,
                                           const std::array<uint32_t, 6>& arguments,
                                           const std::string& payload, const std::string& path,
                                           std::span<const std::byte> more = {}) const;

  Keeper& keeper_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_TREE_CALLS_H_
