// What a client brings as an archive: a tar of any kind, or an image; its first byte says which.
// What is taken has names that lead nowhere else, no more bytes and entries than the limits, and
// can be written and read again.

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>

#include "archive/oci_image.h"
#include "archive/tar.h"

namespace {

using namespace cordon::archive;  // NOLINT(google-build-using-namespace)

constexpr TreeLimits kLimits = {200, 1 << 20};

class Memory final : public ByteSource, public ByteSink {
 public:
  explicit Memory(std::span<const std::byte> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  cordon::Result<size_t> Read(std::span<std::byte> to) override {
    const size_t count = std::min(to.size(), bytes_.size() - at_);
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(at_), count, to.begin());
    at_ += count;
    return count;
  }
  cordon::Status Write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }

 private:
  std::vector<std::byte> bytes_;
  size_t at_ = 0;
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
  Memory in(bytes);
  Memory out({});
  TarWriter writer(out);
  Checker checker(&writer);
  Skipped skipped;
  if (!ReadTar(in, Compression::kAny, kLimits, checker, &skipped)) return;
  if (!writer.Finish()) std::abort();
  Checker again(nullptr);
  if (!ReadTar(out, Compression::kNone, kLimits, again, &skipped)) std::abort();
  if (again.entries() != checker.entries()) std::abort();
}

void ReadAsImage(std::span<const std::byte> bytes) {
  const cordon::OwnedFd fd(memfd_create("fuzz", MFD_CLOEXEC));
  FileSink sink(fd.get(), 0, UINT64_MAX);
  if (!sink.Write(bytes)) std::abort();
  const auto image = ImageReader::Open(fd.get(), bytes.size(), 1 << 22);
  if (!image) return;
  Checker checker(nullptr);
  Skipped skipped;
  (void)image->Read(kLimits, checker, &skipped);
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
