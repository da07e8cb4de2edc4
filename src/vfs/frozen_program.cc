#include "vfs/frozen_program.h"

namespace cordon::vfs {
namespace {

// As many as linear memory has, without its last 64 KiB.
constexpr uint64_t kMaxPages = 0xffff0000 / kFrozenPageBytes;
constexpr uintptr_t kFrozenAlignment = 16;

}  // namespace

bool FrozenProgram::Open(std::span<const std::byte> bytes) {
  *this = {};
  if (bytes.size() < sizeof(FrozenHeader) ||
      reinterpret_cast<uintptr_t>(bytes.data()) % kFrozenAlignment != 0) {
    return false;
  }
  const auto* found = reinterpret_cast<const FrozenHeader*>(bytes.data());
  const uint64_t tables = sizeof(FrozenHeader) + uint64_t{found->run_count} * sizeof(FrozenRun);
  const uint64_t globals_at =
      (tables + alignof(FrozenGlobal) - 1) / alignof(FrozenGlobal) * alignof(FrozenGlobal);
  const uint64_t end = globals_at + uint64_t{found->global_count} * sizeof(FrozenGlobal);
  if (found->magic != kFrozenMagic || found->version != kFrozenVersion ||
      found->size != bytes.size() || found->pages % kFrozenPageBytes != 0 || found->pages < end ||
      found->pages > bytes.size() ||
      bytes.size() - found->pages != uint64_t{found->page_count} * kFrozenPageBytes) {
    return false;
  }
  const std::span<const FrozenRun> all(
      reinterpret_cast<const FrozenRun*>(bytes.data() + sizeof(FrozenHeader)), found->run_count);
  uint64_t next = 0;
  uint64_t data = 0;
  for (const FrozenRun& run : all) {
    if (run.first < next || run.count == 0 || run.kind > FrozenRun::kData) return false;
    next = uint64_t{run.first} + run.count;
    if (next > kMaxPages) return false;
    if (run.kind == FrozenRun::kData) data += run.count;
  }
  if (data != found->page_count) return false;
  header = found;
  runs = all;
  globals = {reinterpret_cast<const FrozenGlobal*>(bytes.data() + globals_at), found->global_count};
  pages = bytes.data() + found->pages;
  return true;
}

}  // namespace cordon::vfs
