#include "live/host_frame.h"

#include <gtest/gtest.h>

#include <cstring>

namespace cordon::live {
namespace {

std::string Guest(uint32_t type, std::string_view payload, uint32_t bytes) {
  std::string frame(reinterpret_cast<const char*>(&type), sizeof type);
  frame.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return frame.append(payload);
}

std::string Guest(GuestSays type, std::string_view payload) {
  return Guest(static_cast<uint32_t>(type), payload, static_cast<uint32_t>(payload.size()));
}

std::string Call(uint32_t arguments, uint32_t variables, std::string_view strings) {
  std::string payload(reinterpret_cast<const char*>(&arguments), sizeof arguments);
  payload.append(reinterpret_cast<const char*>(&variables), sizeof variables);
  return payload.append(strings);
}

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(HostFrame, CallHasItsParts) {
  const auto start = ParseHostCall(Call(2, 1, "qr\0/tmp\0-x\0\0A=b c\0"sv));
  ASSERT_TRUE(start);
  EXPECT_EQ(start->name, "qr");
  EXPECT_EQ(start->directory, "/tmp");
  EXPECT_EQ(start->arguments, (std::vector<std::string>{"-x", ""}));
  EXPECT_EQ(start->variables, std::vector<std::string>{"A=b c"});
}

TEST(HostFrame, CountsThatDoNotFitAreRefused) {
  EXPECT_FALSE(ParseHostCall(""));
  EXPECT_FALSE(ParseHostCall(Call(0, 0, "qr")));
  EXPECT_FALSE(ParseHostCall(Call(2, 0, "qr\0/\0one\0"sv)));
  EXPECT_FALSE(ParseHostCall(Call(UINT32_MAX, UINT32_MAX, "qr\0/\0one\0"sv)));
  EXPECT_FALSE(ParseHostCall(Call(0, 0, "qr\0/\0more\0"sv)));
  EXPECT_FALSE(ParseHostCall(Call(1, 0, "qr\0/\0without an end"sv)));
  EXPECT_TRUE(ParseHostCall(Call(0, 0, "qr\0/\0"sv)));
}

TEST(HostFrame, PiecesMakeFrames) {
  const std::string call = Call(0, 0, "qr\0/\0"sv);
  const std::string bytes = Guest(GuestSays::kCall, call);
  HostFrameReader reader;
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    reader.Add({&bytes[i], 1});
    const auto none = reader.Next();
    ASSERT_TRUE(none);
    ASSERT_FALSE(*none);
  }
  reader.Add({&bytes.back(), 1});
  const auto frame = reader.Next();
  ASSERT_TRUE(frame);
  ASSERT_TRUE(*frame);
  EXPECT_EQ((*frame)->payload, call);
}

TEST(HostFrame, InputComesWhenItIsWanted) {
  HostFrameReader reader;
  reader.Add(Guest(GuestSays::kCall, "x"));
  ASSERT_TRUE(reader.Next().value());
  reader.Want(3);
  reader.Add(Guest(GuestSays::kInput, "abc"));
  EXPECT_EQ(reader.Next().value()->payload, "abc");
  reader.Want(1);
  reader.Add(Guest(GuestSays::kInputEnd, ""));
  EXPECT_EQ(reader.Next().value()->type, GuestSays::kInputEnd);
}

// Each begins with what is right, and goes on with what is not.
TEST(HostFrame, WhatBreaksTheRulesIsRefusedForEver) {
  const std::string call = Guest(GuestSays::kCall, "x");
  const struct {
    const char* what;
    uint32_t wanted;
    std::string bytes;
  } rows[] = {
      {"input before the call", 9, Guest(GuestSays::kInput, "abc")},
      {"an end before the call", 9, Guest(GuestSays::kInputEnd, "")},
      {"two calls", 0, call + call},
      {"a call beyond all bounds", 0, Guest(1, "", kMaxHostCallBytes + 1)},
      {"the largest number", 0, Guest(1, "", UINT32_MAX)},
      {"no such type", 0, Guest(0, "", 0)},
      {"no such type, large", 0, Guest(UINT32_MAX, "", 0)},
      {"input that nobody wanted", 0, call + Guest(GuestSays::kInput, "a")},
      {"more than was wanted", 2, call + Guest(GuestSays::kInput, "abc")},
      {"no input", 2, call + Guest(GuestSays::kInput, "")},
      {"an end that says something", 2, call + Guest(GuestSays::kInputEnd, "a")},
      {"twice what was wanted once", 2,
       call + Guest(GuestSays::kInput, "a") + Guest(GuestSays::kInput, "a")},
  };
  for (const auto& row : rows) {
    HostFrameReader reader;
    reader.Add(row.bytes);
    bool is_refused = false;
    for (int i = 0; i < 4 && !is_refused; ++i) {
      // What was wanted before the call does not count.
      if (i == 1) reader.Want(row.wanted);
      is_refused = !reader.Next();
    }
    EXPECT_TRUE(is_refused) << row.what;
    reader.Add(call);
    EXPECT_FALSE(reader.Next()) << row.what;
  }
}

TEST(HostFrame, NamesOfCommands) {
  for (const char* name : {"qr", "a", "9lives", "to-json", "a.b_c+d"})
    EXPECT_TRUE(IsCommandName(name));
  for (const std::string& name :
       {""s, "-x"s, ".hidden"s, "a/b"s, "a b"s, "a\nb"s, "a\0b"s, "ä"s, std::string(65, 'a')}) {
    EXPECT_FALSE(IsCommandName(name)) << name;
  }
}

}  // namespace
}  // namespace cordon::live
