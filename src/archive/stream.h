#ifndef CORDON_ARCHIVE_STREAM_H_
#define CORDON_ARCHIVE_STREAM_H_

// Bytes on their way: what is read from, what is written to, and what can be put between.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

struct ZSTD_DCtx_s;

namespace cordon::archive {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  [[nodiscard]] virtual Status Write(std::span<const std::byte> bytes) = 0;
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At most as many as `to` has room for; 0 at the end.
  [[nodiscard]] virtual Result<size_t> Read(std::span<std::byte> to) = 0;
};

// Appends to a file, of at most `most` bytes.
class FileSink final : public ByteSink {
 public:
  FileSink(int fd, uint64_t offset, uint64_t most) : fd_(fd), offset_(offset), most_(most) {}
  Status Write(std::span<const std::byte> bytes) override;
  [[nodiscard]] uint64_t offset() const { return offset_; }

 private:
  int fd_;
  uint64_t offset_;
  uint64_t most_;
};

// A part of a file.
class FileSource final : public ByteSource {
 public:
  FileSource(int fd, uint64_t offset, uint64_t size) : fd_(fd), offset_(offset), left_(size) {}
  Result<size_t> Read(std::span<std::byte> to) override;

 private:
  int fd_;
  uint64_t offset_;
  uint64_t left_;
};

// What is in memory already, and stays there.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : left_(bytes) {}
  explicit MemorySource(std::string_view bytes) : left_(std::as_bytes(std::span(bytes))) {}
  Result<size_t> Read(std::span<std::byte> to) override;

 private:
  std::span<const std::byte> left_;
};

// Passes everything on and knows its hash and size.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& next) : next_(next) {}
  Status Write(std::span<const std::byte> bytes) override;
  // Once, at the end: "sha256:…".
  [[nodiscard]] std::string TakeDigest();
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  ByteSink& next_;
  Sha256 hash_;
  uint64_t size_ = 0;
};

class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& from) : from_(from) {}
  Result<size_t> Read(std::span<std::byte> to) override;
  [[nodiscard]] std::string TakeDigest();
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  ByteSource& from_;
  Sha256 hash_;
  uint64_t size_ = 0;
};

// zstd (RFC 8878), frames one after the other, of windows that take no more than 128 MiB to undo.
class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(ByteSource& from);
  ~ZstdSource() override;
  Result<size_t> Read(std::span<std::byte> to) override;

 private:
  ByteSource& from_;
  ZSTD_DCtx_s* context_;
  std::vector<std::byte> buffer_;
  size_t at_ = 0;
  size_t filled_ = 0;
  bool in_frame_ = false;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_STREAM_H_
