#include "backend/wasm/memory_files.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "arena/layout.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace cordon::backend {
namespace {

enum class Code { kNever, kMayRun };
constexpr const char* kControlName = "cordon-control";
constexpr const char* kObjectsName = "cordon-objects";
constexpr const char* kBlocksName = "cordon-blocks";

// Linux 6.3 wants to be told whether a memfd may be executed; older ones refuse the flag.
Result<OwnedFd> CreateMemfd(const char* name, Code code) {
  const unsigned wanted = code == Code::kMayRun ? MFD_EXEC : MFD_NOEXEC_SEAL;
  OwnedFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | wanted));
  if (!fd.valid() && errno == EINVAL) {
    fd.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!fd.valid()) return SystemError(std::string("memfd_create(") + name + ")");
  return fd;
}

Result<OwnedFd> CreateSized(const char* name, uint64_t size_bytes, Code code) {
  Result<OwnedFd> fd = CreateMemfd(name, code);
  if (!fd) return fd;
  if (ftruncate(fd->get(), static_cast<off_t>(size_bytes)) != 0) {
    return SystemError(std::string("ftruncate(") + name + ")");
  }
  return fd;
}

Status Seal(const OwnedFd& fd, int seals) {
  if (fcntl(fd.get(), F_ADD_SEALS, seals | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return SystemError("fcntl(F_ADD_SEALS)");
  }
  return {};
}

uint64_t RoundToPages(uint64_t bytes) {
  return (bytes + layout::kPageBytes - 1) / layout::kPageBytes * layout::kPageBytes;
}

// Inodes, descriptors, process records and pipe buffers. Only pages that are touched exist.
uint64_t ObjectsBytes(const MemorySizes& sizes) {
  constexpr uint64_t kBase = uint64_t{64} << 20;
  constexpr uint64_t kPerFile = 1024;
  constexpr uint64_t kPerProcess = uint64_t{1} << 20;
  return kBase + sizes.max_files * kPerFile + sizes.max_processes * kPerProcess;
}

// The file system counts the bytes of files itself; the rest is its index and what lies unused
// between blocks.
uint64_t BlocksBytes(const MemorySizes& sizes) {
  constexpr uint64_t kBase = uint64_t{16} << 20;
  return kBase + sizes.file_bytes + sizes.file_bytes / 8 + sizes.max_files * layout::kPageBytes;
}

// Sealed against every write after this one: mappings that are made later cannot become writable.
Result<OwnedFd> CreateCodeWindow(std::span<const std::byte> code) {
  Result<OwnedFd> fd = CreateSized("cordon-code", RoundToPages(code.size()), Code::kMayRun);
  if (!fd) return fd;
  size_t done = 0;
  while (done < code.size()) {
    const ssize_t count =
        pwrite(fd->get(), code.data() + done, code.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return SystemError("pwrite(cordon-code)");
    done += static_cast<size_t>(count);
  }
  CORDON_TRY(Seal(*fd, F_SEAL_WRITE));
  return fd;
}

// Of `size_bytes`, of which only what is written exists. Whoever maps it from now on cannot write.
Status CreateGrowingWindow(uint64_t size_bytes, MemoryFiles* files) {
  Result<OwnedFd> fd = CreateSized("cordon-code", size_bytes, Code::kMayRun);
  if (!fd) return std::unexpected(fd.error());
  Result<SharedMapping> mapping = SharedMapping::Map(fd->get(), size_bytes);
  if (!mapping) return std::unexpected(mapping.error());
  CORDON_TRY(Seal(*fd, F_SEAL_FUTURE_WRITE));
  files->code_mapping = std::make_shared<SharedMapping>(std::move(*mapping));
  files->code_window = std::move(*fd);
  return {};
}

uint64_t FileBytes(const OwnedFd& fd) {
  struct stat stat = {};
  if (!fd.valid() || fstat(fd.get(), &stat) != 0) return 0;
  return static_cast<uint64_t>(stat.st_blocks) * 512;
}

}  // namespace

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedMapping::~SharedMapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

Result<SharedMapping> SharedMapping::Map(int fd, uint64_t size_bytes) {
  void* at = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return SystemError("mmap(MAP_SHARED)");
  SharedMapping mapping;
  mapping.data_ = static_cast<std::byte*>(at);
  mapping.size_ = size_bytes;
  return mapping;
}

Status SharedMapping::Replace(int fd) const {
  if (mmap(data_, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != data_) {
    return SystemError("mmap(MAP_FIXED)");
  }
  return {};
}

uint64_t MemoryFiles::UsedBytes() const {
  return FileBytes(objects) + FileBytes(blocks);
}

namespace {

// Gives those who wait for this processor a turn. Meanwhile processes clone themselves, each step
// of which is a wake-up that takes microseconds, and often on the processor where somebody copies:
// the kernel would let them wait for most of the copy, though the other one is idle. Who computes
// there on end gets one turn, and that was the last.
class Turns {
 public:
  void Offer() {
    if (is_over_) return;
    const auto before = std::chrono::steady_clock::now();
    (void)sched_yield();
    is_over_ = std::chrono::steady_clock::now() - before > kLongest;
  }

 private:
  static constexpr std::chrono::microseconds kLongest{300};
  bool is_over_ = false;
};

// The kernel's own copy saves one of two; without it the bytes pass through here.
Status CopyRange(const OwnedFd& from, const OwnedFd& to, off_t at, off_t end, Turns* turns) {
  constexpr off_t kBetweenTurns = off_t{512} << 10;
  while (at < end) {
    off_t source = at;
    off_t target = at;
    const auto left = static_cast<size_t>(std::min(end - at, kBetweenTurns));
    ssize_t count = copy_file_range(from.get(), &source, to.get(), &target, left, 0);
    if (count <= 0) {
      constexpr size_t kPiece = 16 * 1024;
      std::array<std::byte, kPiece> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      count = pread(from.get(), piece.data(), std::min(kPiece, left), at);
      if (count <= 0) return SystemError("pread(memfd)");
      if (pwrite(to.get(), piece.data(), static_cast<size_t>(count), at) != count) {
        return SystemError("pwrite(memfd)");
      }
    }
    at += count;
    if (count == kBetweenTurns) turns->Offer();
  }
  return {};
}

// Pages that nobody touched stay holes. By one thread: a second one would wait for the file.
Status CopyPages(const OwnedFd& from, const OwnedFd& to) {
  Turns turns;
  for (off_t at = 0; (at = lseek(from.get(), at, SEEK_DATA)) >= 0;) {
    const off_t hole = lseek(from.get(), at, SEEK_HOLE);
    if (hole < 0) return SystemError("lseek(SEEK_HOLE)");
    CORDON_TRY(CopyRange(from, to, at, hole, &turns));
    at = hole;
  }
  // There is no data after the last.
  if (errno != ENXIO) return SystemError("lseek(SEEK_DATA)");
  return {};
}

Result<OwnedFd> NewLike(const char* name, uint64_t size_bytes) {
  Result<OwnedFd> made = CreateSized(name, size_bytes, Code::kNever);
  if (made) CORDON_TRY(Seal(*made, 0));
  return made;
}

}  // namespace

Result<OwnedFd> MemoryFiles::NewBlocks() const {
  Result<OwnedFd> made = CreateSized(kBlocksName, blocks_bytes, Code::kNever);
  // Whoever can seal it later must be able to: only its size is fixed now.
  if (made && fcntl(made->get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0) {
    return SystemError("fcntl(F_ADD_SEALS)");
  }
  return made;
}

Result<MemoryFiles> MemoryFiles::NewCopy(Blocks wanted) const {
  MemoryFiles copy;
  copy.objects_bytes = objects_bytes;
  copy.blocks_bytes = blocks_bytes;
  copy.sealed_bytes = sealed_bytes;
  copy.most_sealed_bytes = most_sealed_bytes;
  Result<OwnedFd> page_copy = NewLike(kControlName, control_mapping->bytes().size());
  if (!page_copy) return std::unexpected(page_copy.error());
  CORDON_TRY(CopyPages(control, *page_copy));
  copy.control = std::move(*page_copy);
  Result<OwnedFd> objects_copy = NewLike(kObjectsName, objects_bytes);
  if (!objects_copy) return std::unexpected(objects_copy.error());
  copy.objects = std::move(*objects_copy);
  if (wanted == Blocks::kNew) {
    Result<OwnedFd> blocks_new = NewBlocks();
    if (!blocks_new) return std::unexpected(blocks_new.error());
    copy.blocks = std::move(*blocks_new);
  }
  Result<SharedMapping> mapping =
      SharedMapping::Map(copy.control.get(), control_mapping->bytes().size());
  if (!mapping) return std::unexpected(mapping.error());
  copy.control_mapping = std::make_shared<SharedMapping>(std::move(*mapping));
  return copy;
}

Status MemoryFiles::CopyObjects(const MemoryFiles& copy) const {
  return CopyPages(objects, copy.objects);
}

Status MemoryFiles::TakeOver(MemoryFiles files) {
  CORDON_TRY(control_mapping->Replace(files.control.get()));
  control = std::move(files.control);
  objects = std::move(files.objects);
  blocks = std::move(files.blocks);
  sealed_bytes = files.sealed_bytes;
  return {};
}

Result<MemoryFiles> MemoryFiles::Create(const MemorySizes& sizes, std::span<const std::byte> code,
                                        uint64_t growing_bytes) {
  MemoryFiles files;
  const uint64_t objects_bytes = RoundToPages(ObjectsBytes(sizes));
  const uint64_t blocks_bytes = RoundToPages(BlocksBytes(sizes));
  if (objects_bytes > layout::kObjectsReserve || blocks_bytes > layout::kGenerationReserve) {
    return Fail(ErrorCode::kInvalid, "limits: more files or bytes than a sandbox can hold");
  }
  struct Wanted {
    const char* name;
    uint64_t size_bytes;
    OwnedFd* fd;
  };
  const Wanted table[] = {
      {kControlName, RoundToPages(sizeof(control::Control)), &files.control},
      {kObjectsName, objects_bytes, &files.objects},
  };
  for (const Wanted& wanted : table) {
    Result<OwnedFd> fd = CreateSized(wanted.name, wanted.size_bytes, Code::kNever);
    if (!fd) return std::unexpected(fd.error());
    CORDON_TRY(Seal(*fd, 0));
    *wanted.fd = std::move(*fd);
  }
  files.objects_bytes = objects_bytes;
  files.blocks_bytes = blocks_bytes;
  files.most_sealed_bytes = sizes.memory_bytes;
  Result<OwnedFd> first_blocks = files.NewBlocks();
  if (!first_blocks) return std::unexpected(first_blocks.error());
  files.blocks = std::move(*first_blocks);
  if (!code.empty()) {
    Result<OwnedFd> window = CreateCodeWindow(code);
    if (!window) return std::unexpected(window.error());
    files.code_window = std::move(*window);
  } else if (growing_bytes > 0) {
    CORDON_TRY(CreateGrowingWindow(RoundToPages(growing_bytes), &files));
  }
  Result<SharedMapping> mapping = SharedMapping::Map(files.control.get(), table[0].size_bytes);
  if (!mapping) return std::unexpected(mapping.error());
  files.control_mapping = std::make_shared<SharedMapping>(std::move(*mapping));
  // A new memfd reads as zeros, which is the initial value of every member.
  control::Control& page = files.page();
  page.magic = control::kMagic;
  page.limits = {sizes.memory_bytes, sizes.max_processes, sizes.max_files, sizes.file_bytes};
  page.objects_bytes = objects_bytes;
  page.blocks_bytes = blocks_bytes;
  page.code_window_bytes = RoundToPages(code.empty() ? growing_bytes : code.size());
  return files;
}

}  // namespace cordon::backend
