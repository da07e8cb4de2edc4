#include <gtest/gtest.h>

#include "live/frame.h"
#include "live/guest_channels.h"
#include "live/shell.h"

namespace cordon::live {
namespace {

TEST(FrameTest, GoThroughInPieces) {
  const Frame sent = {Kind::kSpawn, 7, {1, -2, 3}, std::string("a\0b", 3)};
  const std::string bytes = Encode(sent) + Encode({Kind::kEnd, 8, {}, {}});
  FrameReader reader;
  std::vector<Frame> got;
  for (const char c : bytes) {
    reader.Add({&c, 1});
    const auto frame = reader.Next();
    ASSERT_TRUE(frame);
    if (*frame) got.push_back(**frame);
  }
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].kind, Kind::kSpawn);
  EXPECT_EQ(got[0].id, 7U);
  EXPECT_EQ(got[0].arg, sent.arg);
  EXPECT_EQ(got[0].payload, sent.payload);
  EXPECT_EQ(got[1].kind, Kind::kEnd);
}

TEST(FrameTest, RefusesWhatIsTooLong) {
  Frame frame = {Kind::kInput, 1, {}, std::string(kMaxPayload + 1, 'x')};
  FrameReader reader;
  reader.Add(Encode(frame).substr(0, 100));
  EXPECT_FALSE(reader.Next());
}

TEST(PayloadReaderTest, TakesNothingThatIsNotThere) {
  PayloadReader reader(std::string_view("ab\0c", 4));
  std::string text;
  EXPECT_TRUE(reader.TakeString(&text));
  EXPECT_EQ(text, "ab");
  EXPECT_FALSE(reader.TakeString(&text));
  uint32_t number = 0;
  EXPECT_FALSE(reader.Take(&number));
  EXPECT_EQ(reader.rest(), "c");
}

std::string Statuses(PromptReader& reader, std::string_view bytes) {
  std::string text;
  for (const PromptReader::Ended& ended : reader.Read(bytes)) {
    text += std::to_string(ended.status) + (ended.is_repair ? "R " : " ");
  }
  return text;
}

TEST(PromptReaderTest, FindsStatusesAmongOtherText) {
  PromptReader reader;
  EXPECT_EQ(Statuses(reader, "bash-5.2$ \0352;0\036"), "") << "the preparation's";
  EXPECT_EQ(Statuses(reader, "[1]+ Done\n\0353;42"), "");
  EXPECT_EQ(Statuses(reader, "\036"), "42 ") << "in two pieces";
  EXPECT_EQ(Statuses(reader, "\0353;42\036"), "") << "again, after a signal";
  EXPECT_EQ(Statuses(reader, "\0354;1\036\0355;2\036"), "1 2 ");
}

TEST(PromptReaderTest, ARepairReportsOnce) {
  PromptReader reader;
  EXPECT_EQ(Statuses(reader, "\0352;0\036"), "");
  EXPECT_EQ(Statuses(reader, "\035R;7\036\0354;0\036"), "7R ");
  EXPECT_EQ(Statuses(reader, "\0355;3\036"), "3 ");
}

TEST(PromptReaderTest, IgnoresWhatIsNoPrompt) {
  PromptReader reader;
  EXPECT_EQ(Statuses(reader, "\0352;0\036"), "");
  for (const char* text : {"\035\036", "\0353\036", "\0353;\036", "\0353;256\036", "\0353;-1\036",
                           "\0353;1x\036", "\035x;1\036", "\03599999999999999999999;1\036"}) {
    EXPECT_EQ(Statuses(reader, text), "") << text;
  }
  EXPECT_EQ(Statuses(reader, "\035" + std::string(1000, '3') + ";1\036"), "");
  EXPECT_EQ(Statuses(reader, "\035\0353;1\036"), "1 ");
}

TEST(RequestWordsTest, AreCompleteOrNot) {
  using State = RequestWords::State;
  const std::string whole("2\0list\0a b\0", 11);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ReadRequest(whole.substr(0, size)).state, State::kIncomplete) << size;
  }
  const RequestWords read = ReadRequest(whole + "more");
  EXPECT_EQ(read.state, State::kComplete);
  EXPECT_EQ(read.words, whole.substr(2));
  EXPECT_EQ(ReadRequest(std::string("0\0", 2)).state, State::kComplete);
  for (const std::string& broken :
       {std::string("x\0", 2), std::string("-1\0", 3), std::string("\0", 1),
        std::string("1001\0", 5), std::string("12345"), std::string("1 \0", 3),
        std::string(70'000, '1')}) {
    EXPECT_EQ(ReadRequest(broken).state, State::kBroken) << broken.substr(0, 10);
  }
}

}  // namespace
}  // namespace cordon::live
