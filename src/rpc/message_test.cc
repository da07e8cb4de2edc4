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

TEST(ParseRequestTest, TakesPackedOnes) {
  const Json message = {{"jsonrpc", "2.0"},
                        {"id", 7},
                        {"method", "files.write"},
                        {"params", {{"path", "x"}, {"data", Json::binary({0, 0xff})}}}};
  std::string text;
  Json::to_msgpack(message, text);
  const Parsed parsed = ParseRequest(text, Form::kPacked);
  ASSERT_TRUE(parsed.request);
  EXPECT_EQ(parsed.request->params["data"], Json::binary({0, 0xff}));
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ParseRequest(text.substr(0, size), Form::kPacked).error.code, kParseError) << size;
  }
  EXPECT_EQ(ParseRequest(text + "x", Form::kPacked).error.code, kParseError);
  // An array in an array, and so on; and one that says it has four thousand million members.
  EXPECT_EQ(ParseRequest(std::string(1 << 20, '\x91'), Form::kPacked).error.code, kInvalidRequest);
  EXPECT_EQ(ParseRequest("\xdd\xff\xff\xff\xff\x01", Form::kPacked).error.code, kParseError);
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

TEST(EncodeTest, BytesInALineAreTextAndExact) {
  Json object;
  PutBytes(object, "text", "a\xc3\xa4");
  PutBytes(object, "bytes", "\xff");
  PutData(object, "data", "a");
  object["list"] = {{{"inner", Json::binary({0x80})}}};
  const std::string line = Encode(ResultMessage(1, object), Form::kLines);
  EXPECT_EQ(line.back(), '\n');
  const Json result = Json::parse(line)["result"];
  EXPECT_EQ(result["text"], "a\xc3\xa4");
  EXPECT_FALSE(result.contains("textBase64"));
  EXPECT_EQ(DecodeBase64(result["bytesBase64"].get<std::string>()), "\xff");
  EXPECT_EQ(result["dataBase64"], EncodeBase64("a"));
  EXPECT_FALSE(result.contains("data"));
  EXPECT_EQ(result["list"][0]["innerBase64"], EncodeBase64("\x80"));
}

TEST(EncodeTest, PackedBytesAreBytes) {
  Json object;
  PutBytes(object, "text", "a");
  PutData(object, "data", "\xff");
  const std::string packed = Encode(ResultMessage(1, object), Form::kPacked);
  PackReader reader(1000);
  reader.Add(packed.substr(0, 10));
  EXPECT_FALSE(reader.Next());
  reader.Add(packed.substr(10));
  const std::optional<Arrived> arrived = reader.Next();
  ASSERT_TRUE(arrived && !arrived->is_too_long);
  const Json result = Json::from_msgpack(arrived->text)["result"];
  EXPECT_EQ(result["text"], Json::binary({'a'}));
  EXPECT_EQ(result["data"], Json::binary({0xff}));
  EXPECT_FALSE(reader.Next());
}

TEST(PackReaderTest, SkipsWhatIsTooLongAndNothingElse) {
  PackReader reader(10);
  reader.Add(std::string("\0\0\0\x02hi\0\0\0\x14", 10) + std::string(5, 'x'));
  EXPECT_EQ(reader.Next()->text, "hi");
  EXPECT_TRUE(reader.Next()->is_too_long);
  EXPECT_FALSE(reader.Next());
  reader.Add(std::string(15, 'x') + std::string("\0\0\0\x01y", 5));
  EXPECT_EQ(reader.Next()->text, "y");
  EXPECT_FALSE(reader.Next());
}

}  // namespace
}  // namespace cordon::rpc
