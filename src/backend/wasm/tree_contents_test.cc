#include "backend/wasm/tree_contents.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace cordon::backend {
namespace {

TEST(TreeContentsTest, PlacesThatASandboxNamesAreWithinItsMemory) {
  constexpr uint64_t kFile = uint64_t{1} << 20;
  constexpr uint64_t kLast = kFile - control::kTreeChunkBytes;
  const auto is_inside = [](uint64_t at) { return AreInside({{0, at}}, kFile); };
  EXPECT_TRUE(is_inside(0));
  EXPECT_TRUE(is_inside(kLast));
  EXPECT_FALSE(is_inside(kLast + 1));
  EXPECT_FALSE(is_inside(kFile));
  EXPECT_FALSE(is_inside(kFile + 1));
  EXPECT_FALSE(is_inside(uint64_t{1} << 63));
  EXPECT_FALSE(is_inside(UINT64_MAX - control::kTreeChunkBytes + 1));
  EXPECT_FALSE(is_inside(UINT64_MAX));
  EXPECT_TRUE(AreInside({}, 0));
  EXPECT_FALSE(AreInside({{0}}, control::kTreeChunkBytes - 1));
}

}  // namespace
}  // namespace cordon::backend
