#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/owned_fd.h"
#include "base/sha256.h"

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

}  // namespace
}  // namespace cordon
