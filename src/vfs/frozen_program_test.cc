#include "vfs/frozen_program.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace cordon::vfs {
namespace {

// One page of contents between two that have none, and a global.
class FrozenProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    header_.magic = kFrozenMagic;
    header_.version = kFrozenVersion;
    header_.run_count = 3;
    header_.global_count = 1;
    header_.page_count = 1;
    header_.pages = kFrozenPageBytes;
    header_.size = 2 * kFrozenPageBytes;
    runs_ = {{0, 2, FrozenRun::kZero}, {2, 1, FrozenRun::kData}, {9, 4, FrozenRun::kNoAccess}};
    Write();
  }
  void Write() {
    words_.assign(2 * kFrozenPageBytes / sizeof(FrozenGlobal), FrozenGlobal{});
    auto* bytes = reinterpret_cast<std::byte*>(words_.data());
    memcpy(bytes, &header_, sizeof header_);
    memcpy(bytes + sizeof header_, runs_.data(), runs_.size() * sizeof(FrozenRun));
    const size_t globals = (sizeof header_ + runs_.size() * sizeof(FrozenRun) + 15) / 16 * 16;
    const FrozenGlobal global = {{7, 0}};
    memcpy(bytes + globals, &global, sizeof global);
    memset(bytes + kFrozenPageBytes, 'p', kFrozenPageBytes);
  }
  bool Opens() {
    Write();
    return frozen_.Open(Bytes());
  }
  std::span<const std::byte> Bytes() { return std::as_bytes(std::span(words_)); }

  FrozenHeader header_ = {};
  std::vector<FrozenRun> runs_;
  std::vector<FrozenGlobal> words_;
  FrozenProgram frozen_;
};

TEST_F(FrozenProgramTest, ShowsWhatWasWritten) {
  ASSERT_TRUE(Opens());
  ASSERT_EQ(frozen_.runs.size(), 3u);
  EXPECT_EQ(frozen_.runs[2].first, 9u);
  ASSERT_EQ(frozen_.globals.size(), 1u);
  EXPECT_EQ(frozen_.globals[0].bits[0], 7u);
  EXPECT_EQ(static_cast<char>(frozen_.pages[0]), 'p');
}

TEST_F(FrozenProgramTest, EveryLengthButItsOwnIsRefused) {
  for (size_t size = 0; size < Bytes().size(); size += 16)
    EXPECT_FALSE(frozen_.Open(Bytes().first(size))) << size;
}

TEST_F(FrozenProgramTest, RunsThatOverlapAreRefused) {
  runs_[1].first = 1;
  EXPECT_FALSE(Opens());
}

TEST_F(FrozenProgramTest, EmptyRunsAreRefused) {
  runs_[2].count = 0;
  EXPECT_FALSE(Opens());
}

TEST_F(FrozenProgramTest, RunsBeyondLinearMemoryAreRefused) {
  runs_[2].first = 0xffff0 - 3;
  EXPECT_FALSE(Opens());
  runs_[2].first = UINT32_MAX;
  EXPECT_FALSE(Opens());
  runs_[2].first = 0xffff0 - 4;
  EXPECT_TRUE(Opens());
}

TEST_F(FrozenProgramTest, MorePagesThanThereAreIsRefused) {
  runs_[1].count = 2;
  EXPECT_FALSE(Opens());
}

TEST_F(FrozenProgramTest, UnknownKindsAreRefused) {
  const uint32_t unknown = FrozenRun::kData + 1;
  memcpy(&runs_[0].kind, &unknown, sizeof unknown);
  EXPECT_FALSE(Opens());
}

TEST_F(FrozenProgramTest, CountsThatDoNotFitAreRefused) {
  header_.global_count = UINT32_MAX;
  EXPECT_FALSE(Opens());
  header_.global_count = 1;
  header_.run_count = UINT32_MAX;
  EXPECT_FALSE(Opens());
  header_.run_count = 3;
  header_.pages = 100;
  EXPECT_FALSE(Opens());
}

TEST_F(FrozenProgramTest, OtherVersionsAreRefused) {
  header_.version = kFrozenVersion + 1;
  EXPECT_FALSE(Opens());
}

}  // namespace
}  // namespace cordon::vfs
