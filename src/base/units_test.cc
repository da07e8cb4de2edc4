#include "base/units.h"

#include <gtest/gtest.h>

namespace cordon {
namespace {

using std::chrono::milliseconds;

TEST(Units, SizesWithAndWithoutUnits) {
  EXPECT_EQ(ParseSize("4096", "").value(), 4096U);
  EXPECT_EQ(ParseSize("64MiB", "").value(), uint64_t{64} << 20);
  EXPECT_EQ(ParseSize("1g", "").value(), uint64_t{1} << 30);
  EXPECT_EQ(ParseSize("1.5 KB", "").value(), 1536U);
}

TEST(Units, WhatIsNoSizeIsRefusedWithItsOption) {
  for (const char* text : {"", "0", "-1", "1x", "MiB", "nan", "inf", "1e9999", "99999999999999T"}) {
    const auto size = ParseSize(text, "--memory");
    ASSERT_FALSE(size.has_value()) << text;
    EXPECT_EQ(size.error().place, "--memory");
  }
}

TEST(Units, Durations) {
  EXPECT_EQ(ParseDuration("10s", "").value(), milliseconds(10'000));
  EXPECT_EQ(ParseDuration("500ms", "").value(), milliseconds(500));
  EXPECT_EQ(ParseDuration("2m", "").value(), milliseconds(120'000));
  EXPECT_EQ(ParseDuration("0.25", "").value(), milliseconds(250));
  for (const char* text : {"", "0", "1d", "s", "-3s"}) {
    EXPECT_FALSE(ParseDuration(text, "").has_value()) << text;
  }
}

TEST(Units, Formatting) {
  EXPECT_EQ(FormatSize(uint64_t{1} << 30), "1 GiB");
  EXPECT_EQ(FormatSize(uint64_t{1536} << 20), "1536 MiB");
  EXPECT_EQ(FormatSize(1000), "1000 B");
  EXPECT_EQ(FormatDuration(milliseconds(250)), "250 ms");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1.5 s");
  EXPECT_EQ(FormatDuration(milliseconds(10'000)), "10 s");
}

}  // namespace
}  // namespace cordon
