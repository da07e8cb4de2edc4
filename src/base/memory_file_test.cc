#include "base/memory_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>

namespace cordon {
namespace {

std::string Read(int fd) {
  std::array<char, 64> bytes = {};
  const ssize_t got = read(fd, bytes.data(), bytes.size());
  return {bytes.data(), static_cast<size_t>(got < 0 ? 0 : got)};
}

TEST(MemoryFile, IsReadFromItsBeginning) {
  const Result<OwnedFd> file = MemoryFileWith("test", "some text");
  ASSERT_TRUE(file);
  EXPECT_EQ(Read(file->get()), "some text");
  EXPECT_EQ(fcntl(file->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(Read(MemoryFileWith("test", "")->get()), "");
}

TEST(MemoryFile, IsNotChangedOnceItIsSealed) {
  const Result<OwnedFd> file = MemoryFileWith("test", "some text");
  ASSERT_TRUE(file);
  EXPECT_FALSE(IsSealedMemoryFile(file->get()).value_or(true));
  void* mapped = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(SealMemoryFile(file->get()).error().system_errno, EBUSY);
  ASSERT_EQ(munmap(mapped, 1), 0);
  ASSERT_TRUE(SealMemoryFile(file->get()));
  EXPECT_TRUE(IsSealedMemoryFile(file->get()).value_or(false));
  EXPECT_EQ(pwrite(file->get(), "S", 1, 0), -1);
  EXPECT_EQ(ftruncate(file->get(), 1), -1);
  EXPECT_EQ(ftruncate(file->get(), 100), -1);
  EXPECT_EQ(Read(file->get()), "some text");
}

TEST(MemoryFile, OthersCannotBeSealed) {
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const OwnedFd reader(ends[0]);
  const OwnedFd writer(ends[1]);
  EXPECT_FALSE(IsSealedMemoryFile(reader.get()));
  EXPECT_EQ(SealMemoryFile(writer.get()).error().system_errno, EINVAL);
}

}  // namespace
}  // namespace cordon
