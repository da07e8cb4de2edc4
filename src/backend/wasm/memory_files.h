#ifndef CORDON_BACKEND_WASM_MEMORY_FILES_H_
#define CORDON_BACKEND_WASM_MEMORY_FILES_H_

// The memory that a sandbox shares: memfds of fixed size. They are sealed against growing and
// shrinking before the template starts, so that their sizes are quotas and no access of the keeper
// can fault.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/owned_fd.h"
#include "kernel/control.h"

namespace cordon::backend {

// A shared mapping that its owner unmaps.
class SharedMapping {
 public:
  SharedMapping() = default;
  SharedMapping(SharedMapping&& other) noexcept;
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  ~SharedMapping();

  [[nodiscard]] static Result<SharedMapping> Map(int fd, uint64_t size_bytes);
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  // Another file of the same size, at the same place.
  [[nodiscard]] Status Replace(int fd) const;

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

struct MemorySizes {
  uint64_t memory_bytes;
  uint64_t max_processes;
  uint64_t max_files;
  uint64_t file_bytes;
  bool operator==(const MemorySizes&) const = default;
};

struct MemoryFiles {
  OwnedFd control;
  OwnedFd objects;
  OwnedFd blocks;
  // Code that is compiled after the sandbox started. Invalid when there is none.
  OwnedFd code_window;
  // The only way to write to a window that may grow, of all keepers of a family; null otherwise.
  std::shared_ptr<SharedMapping> code_mapping;
  uint64_t objects_bytes = 0;
  uint64_t blocks_bytes = 0;
  // Shared with threads that may outlive the sandbox in a call that blocks.
  std::shared_ptr<SharedMapping> control_mapping;

  [[nodiscard]] control::Control& page() const {
    return *reinterpret_cast<control::Control*>(control_mapping->bytes().data());
  }
  // Pages of the shared files that exist, in bytes, without what is sealed.
  [[nodiscard]] uint64_t UsedBytes() const;

  // Of earlier generations of blocks, which never change, and how many there may be.
  uint64_t sealed_bytes = 0;
  uint64_t most_sealed_bytes = 0;

  // Memory of the same sizes for the processes of a copy: a control page with what it holds now,
  // objects without anything, blocks that are new.
  enum class Blocks { kNone, kNew };
  [[nodiscard]] Result<MemoryFiles> NewCopy(Blocks blocks) const;
  // What the objects hold now, to those of a copy. Nobody may change or use either meanwhile.
  [[nodiscard]] Status CopyObjects(const MemoryFiles& copy) const;
  // A generation of blocks.
  [[nodiscard]] Result<OwnedFd> NewBlocks() const;
  // The mapping of the control page, and what refers to it, is the one of `files` from now on.
  [[nodiscard]] Status TakeOver(MemoryFiles files);

  // Everything sealed; the control page says the sizes and the limits. With `growing_bytes`, which
  // no `code` goes with, modules may be added to a code window of that size.
  [[nodiscard]] static Result<MemoryFiles> Create(const MemorySizes& sizes,
                                                  std::span<const std::byte> code,
                                                  uint64_t growing_bytes = 0);
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_MEMORY_FILES_H_
