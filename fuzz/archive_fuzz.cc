// What a client brings as an archive: a tar of any kind, or an image; its first byte says which.
// What is taken has names that lead nowhere else, no more bytes and entries than the limits, and
// can be written and read again.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <vector>

#include "archive/oci_image.h"
#include "archive/tar.h"
#include "base/memory_file.h"

namespace {

using namespace cordon::archive;  // NOLINT(google-build-using-namespace)

constexpr TreeLimits kLimits = {200, 1 << 20};

class Memory final : public ByteSink {
 public:
  cordon::Status Write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Checker final : public EntryVisitor {
 public:
  explicit Checker(TarWriter* copy) : copy_(copy) {}
  cordon::Status Begin(const Entry& entry) override {
    if (++entries_ > kLimits.max_entries) std::abort();
    const cordon::Result<std::string> clean = CleanPath(entry.path);
    if (!clean || *clean != entry.path || entry.permissions > 07777) std::abort();
    if (entry.kind == Kind::kHardLink && !seen_.contains(entry.target)) std::abort();
    seen_.insert(entry.path);
    entry_ = entry;
    bytes_ += entry.size;
    if (bytes_ > kLimits.max_bytes) std::abort();
    contents_.clear();
    return {};
  }
  cordon::Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    if (entry_.kind != Kind::kFile || offset + bytes.size() > entry_.size) std::abort();
    contents_.resize(entry_.size);
    std::copy(bytes.begin(), bytes.end(), contents_.begin() + static_cast<ptrdiff_t>(offset));
    return {};
  }
  cordon::Status End() override {
    if (copy_ == nullptr) return {};
    if (!copy_->Add(entry_)) std::abort();
    if (entry_.kind != Kind::kFile) return {};
    contents_.resize(entry_.size);
    if (!copy_->Data(contents_)) std::abort();
    return {};
  }
  [[nodiscard]] uint64_t entries() const { return entries_; }

 private:
  TarWriter* copy_;
  Entry entry_;
  std::set<std::string> seen_;
  std::vector<std::byte> contents_;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

void ReadAsTar(std::span<const std::byte> bytes) {
  Memory out;
  TarWriter writer(out);
  Checker checker(&writer);
  Skipped skipped;
  const OwnTarReader reader;
  if (!ReadTree(reader, {.bytes = bytes}, kLimits, checker, &skipped)) return;
  if (!writer.Finish()) std::abort();
  Checker again(nullptr);
  const ReadJob plain = {.bytes = out.bytes(), .form = ReadJob::Form::kPlain};
  if (!ReadTree(reader, plain, kLimits, again, &skipped)) std::abort();
  if (again.entries() != checker.entries()) std::abort();
}

void ReadAsImage(std::span<const std::byte> bytes) {
  const cordon::Result<cordon::OwnedFd> fd = cordon::MemoryFileWith("fuzz", bytes);
  if (!fd || !cordon::SealMemoryFile(fd->get())) std::abort();
  const OwnTarReader reader;
  const auto image = ImageReader::Open(fd->get(), bytes.size(), 1 << 22, reader);
  if (!image) return;
  Checker checker(nullptr);
  Skipped skipped;
  (void)image->Read(ReadJob::Wanted::kEverything, kLimits, checker, &skipped);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data + 1, size - 1));
  if ((data[0] & 1) == 0) {
    ReadAsTar(bytes);
  } else {
    ReadAsImage(bytes);
  }
  return 0;
}
