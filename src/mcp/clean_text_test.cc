#include "mcp/clean_text.h"

#include <gtest/gtest.h>

namespace cordon::mcp {
namespace {

TEST(CleanTextTest, KeepsText) {
  for (const char* text : {"", "plain\n\ttext",
                           "stra\xc3\x9f"
                           "e \xe2\x82\xac \xf0\x9f\x90\xa7"}) {
    EXPECT_EQ(CleanText(text), text);
  }
}

TEST(CleanTextTest, TakesSequencesOut) {
  EXPECT_EQ(CleanText("a\x1b[31mred\x1b[0m b"), "ared b");
  EXPECT_EQ(CleanText("\x1b[2J\x1b[1;1Hx"), "x");
  EXPECT_EQ(CleanText("\x1b]0;title\x07x"), "x");
  EXPECT_EQ(CleanText("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\"), "link");
  EXPECT_EQ(CleanText("\x1bPq#0\x1b\\x"), "x");
  EXPECT_EQ(CleanText("\x1b(Bx\x1b=y\x1b"
                      "7z"),
            "xyz");
  EXPECT_EQ(CleanText("\xc2\x9b"
                      "31mx\xc2\x9d"
                      "0;t\xc2\x9cy"),
            "xy");
  EXPECT_EQ(CleanText("a\x1b[31\x1b[32mb"), "ab");
}

TEST(CleanTextTest, TakesControlsOut) {
  EXPECT_EQ(CleanText(std::string("a\0\b\x7f\x0e", 5) + "b"), "ab");
  EXPECT_EQ(CleanText("a\r\nb\rc\n"), "a\nb\nc\n");
  EXPECT_EQ(CleanText("\xe2\x80\xae"
                      "evil\xe2\x81\xa6"),
            "evil");
}

TEST(CleanTextTest, MakesUtf8) {
  EXPECT_EQ(CleanText("\xff"
                      "a"),
            "\xef\xbf\xbd"
            "a");
  EXPECT_EQ(CleanText("\xc0\x9b"
                      "31m"),
            "\xef\xbf\xbd\xef\xbf\xbd"
            "31m");
  EXPECT_EQ(CleanText("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(CleanText("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(CleanTextTest, SwallowsNoTextAfterAnUnfinishedSequence) {
  EXPECT_EQ(CleanText("\x1b[31\ntext"), "\ntext");
  EXPECT_EQ(CleanText("\x1b\ntext"), "\ntext");
  EXPECT_EQ(CleanText("\x1b]0;never ended\ntext"), "\ntext");
}

}  // namespace
}  // namespace cordon::mcp
