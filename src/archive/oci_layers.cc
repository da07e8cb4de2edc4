// Layers of an image that is read: taken out once, held against their hashes, and read as trees.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "archive/oci_image.h"
#include "base/memory_file.h"
#include "base/sha256.h"

namespace cordon::archive {
namespace {

// What somebody still writes, to be read as far as it is there. Private: a shared mapping would
// keep the file from being sealed.
class BytesInWork {
 public:
  static Result<BytesInWork> Map(int fd, uint64_t size) {
    void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return SystemError("mmap(layer)");
    return BytesInWork({static_cast<const std::byte*>(at), size});
  }
  BytesInWork(BytesInWork&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  BytesInWork& operator=(BytesInWork&&) = delete;
  ~BytesInWork() {
    if (!bytes_.empty()) (void)munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit BytesInWork(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

// Hashes a tar while it is taken out, as far as it is there, and beside it what it is taken from.
class LayerHashes final : public RawVisitor {
 public:
  LayerHashes(std::span<const std::byte> room, std::span<const std::byte> packed)
      : room_(room), packed_(packed) {}
  Status Begin(const RawEntry& /*entry*/) override { return Unasked(); }
  Status Data(uint64_t /*offset*/, std::span<const std::byte> /*bytes*/) override {
    return Unasked();
  }
  Status End() override { return Unasked(); }
  Status Alive(uint64_t bytes) override {
    if (bytes < done_ || bytes > room_.size()) return Unasked();
    const auto packed = packed_.first(std::min<size_t>(packed_.size(), bytes - done_));
    Sha256::UpdateBoth(hash_, room_.subspan(done_, bytes - done_), packed_hash_, packed);
    packed_ = packed_.subspan(packed.size());
    done_ = bytes;
    return {};
  }
  [[nodiscard]] uint64_t size() const { return done_; }
  [[nodiscard]] std::string TakeDigest() { return "sha256:" + Sha256::Hex(hash_.Finish()); }
  [[nodiscard]] std::string TakePackedDigest() {
    packed_hash_.Update(packed_);
    return "sha256:" + Sha256::Hex(packed_hash_.Finish());
  }

 private:
  static Status Unasked() {
    return Fail(ErrorCode::kCorrupt, "archive: its reader says what it was not asked");
  }

  std::span<const std::byte> room_;
  std::span<const std::byte> packed_;  // what is left of it
  Sha256 hash_;
  Sha256 packed_hash_;
  uint64_t done_ = 0;
};

}  // namespace

// So that it is expanded once, and parsed as often as somebody wants, without a copy. A layer for
// which there is no room is left as it is.
Status ImageReader::TakeOut(const TreeLimits& limits, Layer* layer) const {
  constexpr uint64_t kHeadroom = uint64_t{64} << 20;  // headers, padding
  constexpr uint64_t kMostKept = uint64_t{4} << 30;
  const uint64_t most = std::min(kMostKept, limits.max_bytes) + kHeadroom;
  const uint64_t room = most - std::min(most, plain_bytes_);
  if (room == 0) return {};
  ImageBlob plain;
  Result<OwnedFd> memory = NewMemoryFile("cordon-layer");
  if (!memory) return std::unexpected(memory.error());
  plain.own = std::move(*memory);
  plain.fd = plain.own.get();
  if (ftruncate(plain.fd, static_cast<off_t>(room)) != 0) return SystemError("ftruncate()");
  {
    const Result<BytesInWork> bytes = BytesInWork::Map(plain.fd, room);
    if (!bytes) return std::unexpected(bytes.error());
    ImageBlob& packed = blobs_.at(layer->digest);
    LayerHashes hashes(bytes->bytes(), packed.bytes);
    const Result<std::string> read = tars_->Read({.bytes = packed.bytes,
                                                  .fd = packed.fd,
                                                  .offset = packed.offset,
                                                  .form = layer->form,
                                                  .wanted = ReadJob::Wanted::kTar,
                                                  .to = {plain.fd, room}},
                                                 hashes);
    if (!read && read.error().code == ErrorCode::kLimit) return {};
    if (!read) return std::unexpected(read.error());
    CORDON_TRY(HoldBlob(layer->digest, hashes.TakePackedDigest()));
    packed.is_unverified = false;
    CORDON_TRY(Hold(*layer, hashes.TakeDigest()));
    plain_bytes_ += hashes.size();
    plain.bytes = bytes->bytes().first(hashes.size());
  }
  CORDON_TRY(SealMemoryFile(plain.fd));
  Result<SealedBytes> sealed = SealedBytes::Map(plain.fd, plain.bytes.size());
  if (!sealed) return std::unexpected(sealed.error());
  plain.bytes = sealed->bytes();
  plain.mapped = std::make_unique<SealedBytes>(std::move(*sealed));
  layer->plain = std::move(plain);
  return {};
}

Status ImageReader::Hold(const Layer& layer, const std::string& digest) {
  if (digest == layer.diff_id) return {};
  return Fail(ErrorCode::kCorrupt, "image: a layer has another hash than its configuration says");
}

Status ImageReader::Read(ReadJob::Wanted wanted, const TreeLimits& limits, EntryVisitor& visitor,
                         Skipped* skipped) const {
  if (is_verified_) return ReadLayers(wanted, limits, visitor, skipped);
  const Status read = ReadLayers(wanted, limits, visitor, skipped);
  // First, because what was damaged may say anything.
  CORDON_TRY(HoldUnverified(blobs_));
  CORDON_TRY(read);
  is_verified_ = true;
  return {};
}

Status ImageReader::ReadLayers(ReadJob::Wanted wanted, const TreeLimits& limits,
                               EntryVisitor& visitor, Skipped* skipped) const {
  constexpr uint64_t kHeaderBytes = 16 * 1024;  // of an entry, with its names
  for (Layer& layer : layers_) {
    if (!is_verified_ && layer.form == ReadJob::Form::kZstd) CORDON_TRY(TakeOut(limits, &layer));
    const ImageBlob& blob = layer.plain ? *layer.plain : blobs_.at(layer.digest);
    const ReadJob::Form form = layer.plain ? ReadJob::Form::kPlain : layer.form;
    // Where it is gzip, its compressed bytes had the right hash.
    const bool hashes = !is_verified_ && !layer.plain && form != ReadJob::Form::kAny;
    const Result<std::string> diff_id =
        ReadTree(*tars_,
                 {.bytes = blob.bytes,
                  .fd = blob.fd,
                  .offset = blob.offset,
                  .form = form,
                  .wanted = wanted,
                  .most_plain_bytes = limits.max_bytes + limits.max_entries * kHeaderBytes,
                  .hashes = hashes},
                 limits, visitor, skipped);
    if (!diff_id) return std::unexpected(diff_id.error());
    if (hashes) CORDON_TRY(Hold(layer, *diff_id));
  }
  return {};
}

}  // namespace cordon::archive
