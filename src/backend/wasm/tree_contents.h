#ifndef CORDON_BACKEND_WASM_TREE_CONTENTS_H_
#define CORDON_BACKEND_WASM_TREE_CONTENTS_H_

// Contents of files on their way into a sandbox, when many of them come. Whole chunks go straight
// into the file of blocks, at places that the sandbox's kernel names and that can hurt nobody but
// the sandbox: that file is its own memory, and the keeper writes to it by a call, within its size.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/wasm/tree_calls.h"

namespace cordon::backend {

// Whether chunks at all of them lie within `file_bytes`.
[[nodiscard]] bool AreInside(std::span<const uint64_t> places, uint64_t file_bytes);

// Nobody forks the sandbox as long as there is one.
class TreeContents {
 public:
  explicit TreeContents(Keeper& keeper) : calls_(keeper), keeper_(keeper) {}
  // Gives places back that were not used.
  ~TreeContents();
  TreeContents(const TreeContents&) = delete;
  TreeContents& operator=(const TreeContents&) = delete;

  // As TreeCalls::Write.
  [[nodiscard]] Status Write(const std::string& path, uint64_t offset,
                             std::span<const std::byte> bytes);

 private:
  [[nodiscard]] Status HoldMore();
  [[nodiscard]] Status Fill(uint64_t place, std::span<const std::byte> bytes) const;
  [[nodiscard]] Status Place(const std::string& path, uint64_t offset,
                             std::span<const std::byte> bytes);

  TreeCalls calls_;
  Keeper& keeper_;
  std::vector<uint64_t> places_;  // offsets in the file of blocks
  uint32_t used_ = 0;             // of them
  uint32_t wanted_ = 4;           // at the next time
  bool is_full_ = false;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_TREE_CONTENTS_H_
