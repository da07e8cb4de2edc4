#include "archive/stream.h"

#include <unistd.h>
#include <zstd.h>

#include <algorithm>

namespace cordon::archive {
namespace {

constexpr int kMostWindowLog = 27;

}  // namespace

Status FileSink::Write(std::span<const std::byte> bytes) {
  if (bytes.size() > most_ - std::min(most_, offset_)) {
    return Fail(ErrorCode::kLimit, "more than " + std::to_string(most_) + " bytes");
  }
  while (!bytes.empty()) {
    const ssize_t put = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return SystemError("pwrite()");
    offset_ += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<size_t> FileSource::Read(std::span<std::byte> to) {
  const size_t wanted = std::min<uint64_t>(to.size(), left_);
  for (;;) {
    const ssize_t got = pread(fd_, to.data(), wanted, static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("pread()");
    offset_ += static_cast<uint64_t>(got);
    left_ -= static_cast<uint64_t>(got);
    return static_cast<size_t>(got);
  }
}

Result<size_t> MemorySource::Read(std::span<std::byte> to) {
  const size_t count = std::min(to.size(), left_.size());
  std::ranges::copy(left_.first(count), to.begin());
  left_ = left_.subspan(count);
  return count;
}

Status HashingSink::Write(std::span<const std::byte> bytes) {
  hash_.Update(bytes);
  size_ += bytes.size();
  return next_.Write(bytes);
}

std::string HashingSink::TakeDigest() {
  return "sha256:" + Sha256::Hex(hash_.Finish());
}

Result<size_t> HashingSource::Read(std::span<std::byte> to) {
  Result<size_t> got = from_.Read(to);
  if (!got) return got;
  hash_.Update(to.first(*got));
  size_ += *got;
  return got;
}

std::string HashingSource::TakeDigest() {
  return "sha256:" + Sha256::Hex(hash_.Finish());
}

ZstdSource::ZstdSource(ByteSource& from)
    : from_(from), context_(ZSTD_createDCtx()), buffer_(ZSTD_DStreamInSize()) {
  (void)ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kMostWindowLog);
}

ZstdSource::~ZstdSource() {
  ZSTD_freeDCtx(context_);
}

Result<size_t> ZstdSource::Read(std::span<std::byte> to) {
  for (;;) {
    if (at_ == filled_) {
      const Result<size_t> got = from_.Read(buffer_);
      if (!got) return got;
      if (*got == 0 && in_frame_) return Fail(ErrorCode::kCorrupt, "zstd: the stream was cut");
      if (*got == 0) return 0;
      at_ = 0;
      filled_ = *got;
    }
    ZSTD_inBuffer in = {buffer_.data(), filled_, at_};
    ZSTD_outBuffer out = {to.data(), to.size(), 0};
    const size_t left = ZSTD_decompressStream(context_, &out, &in);
    if (ZSTD_isError(left) != 0) {
      return Fail(ErrorCode::kCorrupt, std::string("zstd: ") + ZSTD_getErrorName(left));
    }
    at_ = in.pos;
    in_frame_ = left != 0;
    if (out.pos > 0) return out.pos;
  }
}

}  // namespace cordon::archive
