#include "rpc/message.h"

#include <gtest/gtest.h>

#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

TEST(Base64Test, GoesThereAndBack) {
  EXPECT_EQ(EncodeBase64(""), "");
  EXPECT_EQ(EncodeBase64("f"), "Zg==");
  EXPECT_EQ(EncodeBase64("fo"), "Zm8=");
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
  }
}

TEST(Base64Test, RefusesWhatIsNotCanonical) {
  for (const char* text :
       {"Z", "Zg=", "Zg", "Zg==Zg==", "Z===", "====", "Zh==", "Zm9=", "Zm 8", "Zm8-"}) {
    EXPECT_FALSE(DecodeBase64(text)) << text;
  }
}

TEST(Utf8Test, KnowsTheEdges) {
  for (const char* text :
       {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text :
       {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

TEST(LineReaderTest, SkipsALineThatIsTooLongAndNoOther) {
  LineReader reader(10);
  reader.Add("short\n\n" + std::string(25, 'x'));
  EXPECT_EQ(reader.Next()->text, "short");
  EXPECT_TRUE(reader.Next()->is_too_long);
  EXPECT_FALSE(reader.Next());
  reader.Add(std::string(25, 'y'));
  EXPECT_FALSE(reader.Next());
  reader.Add("yy\nnext\n");
  EXPECT_EQ(reader.Next()->text, "next");
  EXPECT_FALSE(reader.Next());
}

TEST(ParseRequestTest, TakesWhatTheStandardSays) {
  const Parsed parsed =
      ParseRequest(R"({"jsonrpc":"2.0","id":"a","method":"run","params":{"command":"x"}})");
  ASSERT_TRUE(parsed.request);
  EXPECT_EQ(parsed.request->id, "a");
  EXPECT_EQ(parsed.request->params["command"], "x");
  EXPECT_TRUE(ParseRequest(R"({"jsonrpc":"2.0","method":"run"})").request->is_notification);
}

TEST(ParseRequestTest, SaysWhatIsWrong) {
  EXPECT_EQ(ParseRequest("{").error.code, kParseError);
  EXPECT_EQ(ParseRequest("[]").error.code, kInvalidRequest);
  EXPECT_EQ(ParseRequest(std::string(100, '[')).error.code, kInvalidRequest);
  EXPECT_EQ(ParseRequest(R"({"jsonrpc":"2.0","id":{},"method":"x"})").error.code, kInvalidRequest);
  const Parsed parsed = ParseRequest(R"({"jsonrpc":"2.0","id":7,"method":"x","params":[]})");
  EXPECT_EQ(parsed.error.code, kInvalidParams);
  EXPECT_EQ(parsed.id, 7);
}

TEST(PutBytesTest, IsExact) {
  Json object;
  PutBytes(object, "data", "\xff");
  EXPECT_EQ(DecodeBase64(object["dataBase64"].get<std::string>()), "\xff");
  EXPECT_EQ(ResultLine(1, object).back(), '\n');
}

}  // namespace
}  // namespace cordon::rpc
