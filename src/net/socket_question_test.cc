#include "net/socket_question.h"

#include <gtest/gtest.h>

#include "net/summary.h"

namespace cordon::net {
namespace {

TEST(SocketQuestion, IsReadAsItWasWritten) {
  for (const bool is_tcp : {true, false}) {
    for (const bool is_ipv4 : {true, false}) {
      const auto read = SocketQuestion::Read(
          SocketQuestion{18446744073709551615U, is_tcp, is_ipv4, 65535, 0}.Write());
      ASSERT_TRUE(read);
      EXPECT_EQ(read->number, 18446744073709551615U);
      EXPECT_EQ(read->is_tcp, is_tcp);
      EXPECT_EQ(read->is_ipv4, is_ipv4);
      EXPECT_EQ(read->source_port, 65535);
      EXPECT_EQ(read->destination_port, 0);
    }
  }
}

TEST(SocketQuestion, NothingElseIsOne) {
  for (const char* text :
       {"", "who", "who ", "who 1", "who 1 tcp", "who 1 tcp 4", "who 1 tcp 4 1", "who 1 sctp 4 1 2",
        "who 1 tcp 5 1 2", "who -1 tcp 4 1 2", "who 1 tcp 4 1 65536", "who 1 tcp 4 1 2 3",
        "summary\nmore 0\n", "failed who 1 tcp 4 1 2"}) {
    EXPECT_FALSE(SocketQuestion::Read(text)) << text;
  }
}

TEST(SocketAnswer, BringsOnePrintableLine) {
  const auto read =
      SocketAnswer::Read(SocketAnswer{7, "postinstall of @a/left-pad\n\x1b]0;x\x07\xff"}.Write());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 7U);
  EXPECT_EQ(read->who, "postinstall of @a/left-pad???0?x??");
  EXPECT_EQ(PlainName(std::string(500, 'x')).size(), 80U);
  EXPECT_FALSE(SocketAnswer::Read("by x y"));
  EXPECT_TRUE(SocketAnswer::Read("by 7 ")->who.empty());
}

TEST(Summary, SaysWhoAskedFirst) {
  Summary summary;
  summary.Allow("a.example:443");
  summary.Refuse("evil.example", "postinstall of left-pad");
  summary.Refuse("evil.example", "curl");
  summary.Refuse("[2600::1]:80", "by 3 x");
  summary.Refuse("other.example");
  const auto read = Summary::Read(summary.Write());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->refused, summary.refused);
  EXPECT_EQ(read->by, summary.by);
  EXPECT_EQ(read->ToString(),
            "1 host allowed, 3 refused: [2600::1]:80 by by 3 x, evil.example by postinstall of "
            "left-pad, other.example");
  for (const char* text : {"by 3 abc", "by 9 abc x\n", "by 3 abcx\n", "by -1 a\n", "by 3\n",
                           "by 18446744073709551615 a b\n"}) {
    EXPECT_FALSE(Summary::Read(text)) << text;
  }
}

}  // namespace
}  // namespace cordon::net
