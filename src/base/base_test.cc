#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "base/sha256.h"
#include "base/sha256_blocks.h"

namespace cordon {
namespace {

TEST(Error, NamesPlaceCallAndReason) {
  const Error error{ErrorCode::kSystem, "openat(…)", "a.yaml:3:1", ENOENT};
  EXPECT_EQ(error.ToString(), "a.yaml:3:1: openat(…): No such file or directory");
}

TEST(OwnedFd, ClosesOnce) {
  OwnedFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = fd.get();
  ASSERT_GE(number, 0);
  OwnedFd moved = std::move(fd);
  EXPECT_EQ(moved.get(), number);
  moved.reset();
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

// FIPS 180-4 examples, and one that crosses a block.
TEST(Sha256, AgreesWithPublishedVectors) {
  Sha256 abc;
  abc.Update("abc");
  EXPECT_EQ(Sha256::Hex(abc.Finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 million;
  for (int i = 0; i < 1000; ++i) million.Update(std::string(1000, 'a'));
  EXPECT_EQ(Sha256::Hex(million.Finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, ThePiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * i % 251);
  Sha256 whole;
  whole.Update(text);
  const Sha256::Digest expected = whole.Finish();
  for (const size_t piece : {1, 63, 64, 65, 127, 128, 300}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += piece) hash.Update(text.substr(at, piece));
    EXPECT_EQ(hash.Finish(), expected) << piece;
  }
}

TEST(Sha256, TwoAtOnceAgreeWithPublishedVectors) {
  const std::string letters = "abc";
  const std::string million(1'000'000, 'a');
  Sha256 one;
  Sha256 other;
  Sha256::UpdateBoth(one, std::as_bytes(std::span(letters)), other,
                     std::as_bytes(std::span(million)));
  EXPECT_EQ(Sha256::Hex(one.Finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256::Hex(other.Finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Pieces of random lengths, often of none, less than a block, or whole blocks.
TEST(Sha256, TwoAtOnceAreAsOneAfterTheOther) {
  std::mt19937 chance(1);  // NOLINT(cert-msc51-cpp): the same each time
  std::vector<std::byte> bytes(1 << 16);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(chance());
  const auto piece = [&](size_t at) {
    const size_t lengths[] = {0, chance() % 64, 64 * (chance() % 8), chance() % 4096};
    return std::span(bytes).subspan(at, std::min(lengths[chance() % 4], bytes.size() - at));
  };
  for (int round = 0; round < 500; ++round) {
    Sha256 one;
    Sha256 other;
    size_t of_one = 0;
    size_t of_other = 0;
    for (int pieces = 0; pieces < 6; ++pieces) {
      const auto first = piece(of_one);
      const auto second = piece(of_other);
      Sha256::UpdateBoth(one, first, other, second);
      of_one += first.size();
      of_other += second.size();
    }
    Sha256 whole_one;
    Sha256 whole_other;
    whole_one.Update(std::span(bytes).first(of_one));
    whole_other.Update(std::span(bytes).first(of_other));
    EXPECT_EQ(one.Finish(), whole_one.Finish()) << round << ": " << of_one << " " << of_other;
    EXPECT_EQ(other.Finish(), whole_other.Finish()) << round << ": " << of_one << " " << of_other;
  }
}

TEST(Sha256, InstructionsAgreeWithArithmetic) {
  const Sha256Blocks fast = CompressByInstructions();
  if (fast == nullptr) GTEST_SKIP() << "this processor has none";
  std::array<uint8_t, 5 * kSha256BlockBytes> blocks;
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<uint8_t>(i * i % 253);
  for (size_t count = 0; count <= 5; ++count) {
    Sha256State one = {1, 2, 3, 0x80000000, 5, 6, 0xffffffff, 8};
    Sha256State other = one;
    CompressPortably(one, blocks.data(), count);
    fast(other, blocks.data(), count);
    EXPECT_EQ(one, other) << count;
  }
}

}  // namespace
}  // namespace cordon
