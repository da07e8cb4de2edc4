#include "backend/wasm/tree_contents.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cordon::backend {
namespace {

constexpr uint64_t kChunk = control::kTreeChunkBytes;

}  // namespace

bool AreInside(std::span<const uint64_t> places, uint64_t file_bytes) {
  return std::ranges::all_of(
      places, [&](uint64_t at) { return at <= file_bytes && file_bytes - at >= kChunk; });
}

TreeContents::~TreeContents() {
  if (!places_.empty()) (void)calls_.Hold(0);
}

Status TreeContents::HoldMore() {
  Result<std::vector<uint64_t>> places = calls_.Hold(wanted_);
  if (!places) return std::unexpected(places.error());
  // It cannot be believed. What is behind the end is not the sandbox's.
  if (!AreInside(*places, keeper_.files().blocks_bytes)) {
    return Fail(ErrorCode::kCorrupt, "the sandbox names places that it does not have");
  }
  // Where there is no room the kernel says so when a file is written.
  is_full_ = places->empty();
  places_ = std::move(*places);
  used_ = 0;
  wanted_ = std::min(2 * wanted_, control::kMostHeldChunks);
  return {};
}

Status TreeContents::Fill(uint64_t place, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t put =
        pwrite(keeper_.files().blocks.get(), bytes.data(), bytes.size(), static_cast<off_t>(place));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return SystemError("pwrite(blocks of the sandbox)");
    place += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

// As many as there are places for now.
Status TreeContents::Place(const std::string& path, uint64_t offset,
                           std::span<const std::byte> bytes) {
  const uint32_t first = used_;
  for (std::span<const std::byte> left = bytes; !left.empty(); ++used_) {
    const auto part = left.first(std::min<size_t>(left.size(), kChunk));
    CORDON_TRY(Fill(places_[used_], part));
    left = left.subspan(part.size());
  }
  return calls_.TakeOver(path, offset, first, static_cast<uint32_t>(bytes.size()));
}

Status TreeContents::Write(const std::string& path, uint64_t offset,
                           std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const uint64_t into_chunk = offset % kChunk;
    size_t part = std::min<size_t>(bytes.size(), kChunk - into_chunk);
    if (into_chunk > 0 || bytes.size() < kChunk || is_full_) {
      CORDON_TRY(calls_.Write(path, offset, bytes.first(part)));
    } else {
      if (used_ == places_.size()) CORDON_TRY(HoldMore());
      part = std::min<size_t>(bytes.size(), (places_.size() - used_) * kChunk);
      if (part > 0) CORDON_TRY(Place(path, offset, bytes.first(part)));
    }
    offset += part;
    bytes = bytes.subspan(part);
  }
  return {};
}

}  // namespace cordon::backend
