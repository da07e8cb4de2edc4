#include <fcntl.h>
#include <gtest/gtest.h>

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
