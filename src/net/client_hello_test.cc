#include "net/client_hello.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace cordon::net {
namespace {

using Bytes = std::vector<uint8_t>;
using State = ClientHello::State;

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes Field(size_t width, const Bytes& body) {
  Bytes bytes;
  for (size_t i = 0; i < width; ++i) {
    bytes.push_back(static_cast<uint8_t>(body.size() >> (8 * (width - 1 - i))));
  }
  return bytes + body;
}

Bytes Name(std::string_view name) {
  return Bytes{0, 0} + Field(2, Field(2, Bytes{0} + Field(2, Bytes(name.begin(), name.end()))));
}

Bytes Message(const Bytes& extensions) {
  return Bytes{1} + Field(3, Bytes{3, 3} + Bytes(32, 7) + Field(1, {}) + Field(2, {0x13, 1}) +
                                 Field(1, {0}) + Field(2, extensions));
}

Bytes Record(const Bytes& body) {
  return Bytes{22, 3, 1} + Field(2, body);
}

TEST(ClientHello, TheNameIsReadAsSoonAsAllIsThere) {
  const Bytes hello = Record(Message(Bytes{0, 23, 0, 0} + Name("Good.example")));
  const ClientHello whole = ParseClientHello(hello + Bytes{20, 3, 3, 0, 1, 1});
  EXPECT_EQ(whole.state, State::kComplete);
  EXPECT_EQ(whole.server_name, "good.example");
  EXPECT_FALSE(whole.has_encrypted_hello);
  for (size_t size = 0; size < hello.size(); ++size) {
    EXPECT_EQ(ParseClientHello(std::span(hello).first(size)).state, State::kIncomplete) << size;
  }
}

TEST(ClientHello, AMessageInSeveralRecords) {
  const Bytes message = Message(Name("good.example"));
  Bytes cut;
  for (const uint8_t byte : message) cut = cut + Record({byte});
  EXPECT_EQ(ParseClientHello(cut).server_name, "good.example");
}

TEST(ClientHello, WithoutAName) {
  EXPECT_EQ(ParseClientHello(Record(Message({}))).state, State::kComplete);
  EXPECT_EQ(ParseClientHello(Record(Message({}))).server_name, "");
}

TEST(ClientHello, AnEncryptedOneIsSeen) {
  const Bytes both = Name("good.example") + Bytes{0xfe, 0x0d} + Field(2, {0, 0, 1});
  EXPECT_TRUE(ParseClientHello(Record(Message(both))).has_encrypted_hello);
}

TEST(ClientHello, WhatServersCouldReadInTwoWaysIsBroken) {
  const Bytes two_names =
      Bytes{0, 0} + Field(2, Field(2, Bytes{0} + Field(2, {'a'}) + Bytes{0} + Field(2, {'b'})));
  for (const Bytes& extensions :
       {Name("good.example") + Name("evil.example"), two_names, Name(""),
        Name(std::string_view("evil\0.good", 10)), Bytes{0, 0, 0, 9, 1}, Bytes{0}}) {
    EXPECT_EQ(ParseClientHello(Record(Message(extensions))).state, State::kBroken);
  }
  EXPECT_EQ(ParseClientHello(Record({2, 0, 0, 0})).state, State::kBroken);
  EXPECT_EQ(ParseClientHello({{22, 3, 1, 0, 0}}).state, State::kBroken);
  EXPECT_EQ(ParseClientHello({{22, 3, 1, 0xff, 0xff, 1}}).state, State::kBroken);
  EXPECT_EQ(ParseClientHello(Record({1, 0xff, 0, 0})).state, State::kBroken);
}

TEST(ClientHello, OtherProtocols) {
  const std::string_view http = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(ParseClientHello({reinterpret_cast<const uint8_t*>(http.data()), http.size()}).state,
            State::kNotTls);
  EXPECT_EQ(ParseClientHello({{0x80, 0x2e, 1}}).state, State::kNotTls);  // SSL 2
  EXPECT_EQ(ParseClientHello({{22, 2}}).state, State::kNotTls);
}

}  // namespace
}  // namespace cordon::net
