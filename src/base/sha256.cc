#include "base/sha256.h"

#include <algorithm>
#include <cstring>

#include "base/sha256_blocks.h"

namespace cordon {

Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::Compress(const std::byte* blocks, size_t count) {
  const Sha256Blocks fast = CompressByInstructions();
  (fast != nullptr ? fast : CompressPortably)(state_, reinterpret_cast<const uint8_t*>(blocks),
                                              count);
}

void Sha256::Complete(std::span<const std::byte>* bytes) {
  if (pending_size_ == 0 || bytes->empty()) return;
  const size_t take = std::min(bytes->size(), pending_.size() - pending_size_);
  memcpy(pending_.data() + pending_size_, bytes->data(), take);
  pending_size_ += take;
  total_size_ += take;
  *bytes = bytes->subspan(take);
  if (pending_size_ < pending_.size()) return;
  Compress(pending_.data(), 1);
  pending_size_ = 0;
}

void Sha256::Update(std::span<const std::byte> bytes) {
  Complete(&bytes);
  if (bytes.empty()) return;
  total_size_ += bytes.size();
  const size_t whole = bytes.size() / pending_.size();
  Compress(bytes.data(), whole);
  bytes = bytes.subspan(whole * pending_.size());
  if (!bytes.empty()) memcpy(pending_.data(), bytes.data(), bytes.size());
  pending_size_ = bytes.size();
}

void Sha256::UpdateBoth(Sha256& one, std::span<const std::byte> of_one, Sha256& other,
                        std::span<const std::byte> of_other) {
  one.Complete(&of_one);
  other.Complete(&of_other);
  const size_t blocks = std::min(of_one.size(), of_other.size()) / kSha256BlockBytes;
  const size_t bytes = blocks * kSha256BlockBytes;
  CompressBoth({&one.state_, reinterpret_cast<const uint8_t*>(of_one.data())},
               {&other.state_, reinterpret_cast<const uint8_t*>(of_other.data())}, blocks);
  one.total_size_ += bytes;
  other.total_size_ += bytes;
  one.Update(of_one.subspan(bytes));
  other.Update(of_other.subspan(bytes));
}

void Sha256::Update(const std::string& text) {
  Update(std::as_bytes(std::span(text)));
}

Sha256::Digest Sha256::Finish() {
  const uint64_t bits = total_size_ * 8;
  const std::byte end{0x80};
  Update({&end, 1});
  const std::byte zero{0};
  while (pending_size_ != 56) Update({&zero, 1});
  std::array<std::byte, 8> length;
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  Update(length);
  Digest digest;
  for (size_t i = 0; i < 32; ++i)
    digest[i] = static_cast<uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

std::string Sha256::Hex(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace cordon
