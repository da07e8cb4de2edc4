#include "net/pins.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cordon::net {
namespace {

using std::chrono::seconds;
using Names = std::vector<std::string>;

const Address kOne = *ParseAddress("8.8.8.8");
const Address kOther = *ParseAddress("2606:4700::1");

TEST(Pins, AnAddressHasAllNamesThatWereAnsweredUntilTheyEnd) {
  Pins pins(16);
  const Pins::Time start{};
  pins.Pin(kOne, "a.example", seconds(60), start);
  pins.Pin(kOne, "b.example", seconds(7200), start);
  pins.Pin(kOther, "c.example", seconds(60), start);
  EXPECT_EQ(pins.NamesOf(kOne, start), Names({"a.example", "b.example"}));
  EXPECT_EQ(pins.NamesOf(kOther, start), Names({"c.example"}));
  EXPECT_EQ(pins.NamesOf(kOne, start + Pins::kLeast), Names({"b.example"}));
  EXPECT_EQ(pins.NamesOf(kOne, start + seconds(7200)), Names());
}

TEST(Pins, AnsweringAgainMakesItLonger) {
  Pins pins(16);
  const Pins::Time start{};
  pins.Pin(kOne, "a.example", seconds(1), start);
  pins.Pin(kOne, "a.example", seconds(1), start + seconds(500));
  EXPECT_EQ(pins.NamesOf(kOne, start + seconds(1000)), Names({"a.example"}));
  pins.Pin(kOne, "a.example", seconds(1), start);  // and not shorter
  EXPECT_EQ(pins.NamesOf(kOne, start + seconds(1000)), Names({"a.example"}));
}

TEST(Pins, ThereAreNeverMoreThanTheLimit) {
  Pins pins(4);
  const Pins::Time start{};
  for (int i = 0; i < 100; ++i) {
    pins.Pin(kOne, "n" + std::to_string(i) + ".example", seconds(1), start + seconds(i));
  }
  EXPECT_EQ(pins.NamesOf(kOne, start + seconds(99)).size(), 4U);
  EXPECT_EQ(pins.NamesOf(kOne, start + seconds(99)).back(), "n99.example");
}

TEST(Pins, AnAddressHasItsNewestNamesAndTakesNoOthersPlace) {
  Pins pins(8192);
  const Pins::Time start{};
  pins.Pin(kOther, "other.example", seconds(1), start);
  for (int i = 0; i < 500; ++i) {
    pins.Pin(kOne, std::to_string(i) + ".example", seconds(1),
             start + std::chrono::milliseconds(i));
    pins.Pin(kOne, "again.example", seconds(1), start + std::chrono::milliseconds(i));
  }
  const Names names = pins.NamesOf(kOne, start + seconds(1));
  EXPECT_EQ(names.size(), Pins::kMostNames);
  for (const char* name : {"499.example", "450.example", "again.example"}) {
    EXPECT_NE(std::ranges::find(names, name), names.end()) << name;
  }
  EXPECT_EQ(pins.NamesOf(kOther, start + seconds(1)), Names({"other.example"}));
}

}  // namespace
}  // namespace cordon::net
