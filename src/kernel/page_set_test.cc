#include "kernel/page_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace cordon::kernel {
namespace {

constexpr uint32_t kSize = 1000;

TEST(PageSetTest, DoesWhatASetDoes) {
  PageSet<kSize> pages = {};
  std::set<uint32_t> model;
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const uint32_t first = random() % kSize;
    const uint32_t count = random() % (kSize - first + 1);
    const uint32_t end = first + count;
    if (round % 3 == 0) {
      pages.Add(first, count / 8);
      for (uint32_t i = first; i < first + count / 8; ++i) model.insert(i);
    } else if (round % 3 == 1) {
      pages.Remove(first, count / 8);
      for (uint32_t i = first; i < first + count / 8; ++i) model.erase(i);
    }
    uint32_t expected = 0;
    uint32_t member = end;
    uint32_t absent = end;
    for (uint32_t i = end; i-- > first;) {
      const bool has = model.contains(i);
      EXPECT_EQ(pages.Has(i), has) << i;
      expected += has ? 1 : 0;
      (has ? member : absent) = i;
    }
    EXPECT_EQ(pages.Count(first, count), expected) << first << " + " << count;
    EXPECT_EQ(pages.NextMember(first, end), member) << first << " + " << count;
    EXPECT_EQ(pages.NextAbsent(first, end), absent) << first << " + " << count;
  }
}

}  // namespace
}  // namespace cordon::kernel
