#include "net/dns_message.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cordon::net {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes Text(std::string_view text) {
  return {text.begin(), text.end()};
}

const Bytes kGoodExample = Bytes{4} + Text("gOOd") + Bytes{7} + Text("example") + Bytes{0};

bool Contains(const Bytes& bytes, const Bytes& part) {
  return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
}

// A query for one question of the type A.
Bytes Query(const Bytes& name) {
  return Bytes{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0} + name + Bytes{0, 1, 0, 1};
}

Bytes Response(const Bytes& records, uint8_t count) {
  return Bytes{0x12, 0x34, 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0} + kGoodExample +
         Bytes{0, 1, 0, 1} + records;
}

std::optional<DnsResponse> Parse(const Bytes& bytes) {
  return ParseDnsResponse(bytes, 0x1234, "good.example", DnsType::kA);
}

TEST(Dns, AQueryIsReadAndAnsweredWithItsOwnQuestion) {
  const auto query = ParseDnsQuery(Query(kGoodExample));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "good.example");
  EXPECT_EQ(query->id, 0x1234);
  const Bytes answer = WriteDnsAnswer(
      *query, {DnsCode::kNoError, {*ParseAddress("1.2.3.4"), *ParseAddress("1.2.3.5")}, 60, ""},
      512);
  EXPECT_TRUE(Contains(answer, kGoodExample));
  const auto back = Parse(answer);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->addresses.size(), 2U);
  EXPECT_EQ(back->addresses[1].ToString(), "1.2.3.5");
  EXPECT_EQ(back->ttl_seconds, 60U);
  EXPECT_FALSE(back->is_truncated);
}

TEST(Dns, WhatDoesNotFitIsTruncated) {
  const auto query = ParseDnsQuery(Query(kGoodExample));
  const std::vector<Address> many(100, *ParseAddress("1.2.3.4"));
  const Bytes answer = WriteDnsAnswer(*query, {DnsCode::kNoError, many, 60, ""}, 512);
  EXPECT_LE(answer.size(), 512U);
  EXPECT_TRUE(Parse(answer)->is_truncated);
  EXPECT_EQ(
      Parse(WriteDnsAnswer(*query, {DnsCode::kNoError, many, 60, ""}, 65535))->addresses.size(),
      100U);
}

TEST(Dns, AQuestionOfOursIsAQuery) {
  const Bytes bytes = WriteDnsQuestion(7, "a-b.good.example", DnsType::kAaaa);
  const auto query = ParseDnsQuery(bytes);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "a-b.good.example");
  EXPECT_EQ(query->type, DnsType::kAaaa);
  EXPECT_TRUE(query->has_edns);
  EXPECT_EQ(query->answer_size, 1232);
}

TEST(Dns, ARefusalSaysWhyToWhoUnderstandsIt) {
  auto query = ParseDnsQuery(WriteDnsQuestion(7, "evil.example", DnsType::kA));
  const DnsAnswer refusal = {DnsCode::kNoSuchName, {}, 0, "no rule names it"};
  Bytes answer = WriteDnsAnswer(*query, refusal, 512);
  EXPECT_EQ(answer[3] & 0xf, 3);
  EXPECT_TRUE(Contains(answer, Text("no rule names it")));
  query->has_edns = false;
  answer = WriteDnsAnswer(*query, refusal, 512);
  EXPECT_FALSE(Contains(answer, Text("no rule names it")));
}

TEST(Dns, NamesThatAreNoHostNamesAreLikeNoHostName) {
  EXPECT_EQ(ParseDnsQuery(Query(Bytes{5} + Text("evil") + Bytes{0, 0}))->name, "evil\\000");
  EXPECT_EQ(ParseDnsQuery(Query(Bytes{3} + Text("a.b") + Bytes{0}))->name, "a\\046b");
  EXPECT_EQ(ParseDnsQuery(Query(Bytes{0}))->name, "");
}

TEST(Dns, DamagedQueriesAreNone) {
  const Bytes good = Query(kGoodExample);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseDnsQuery(std::span(good).first(size))) << size;
  }
  EXPECT_FALSE(ParseDnsQuery(Query({0xc0, 0x0c})));    // a pointer to itself
  EXPECT_FALSE(ParseDnsQuery(Query({0x41, 'a', 0})));  // a label of an unknown kind
  EXPECT_FALSE(ParseDnsQuery(Response({}, 0)));        // an answer
  Bytes two = good;
  two[5] = 2;
  EXPECT_FALSE(ParseDnsQuery(two));
  Bytes status = good;
  status[2] = 0x10;
  EXPECT_FALSE(ParseDnsQuery(status));
  Bytes longest;
  for (int i = 0; i < 5; ++i) longest = longest + Bytes{63} + Bytes(63, 'a');
  EXPECT_FALSE(ParseDnsQuery(Query(longest + Bytes{0})));
  EXPECT_EQ(WriteDnsFormatError(good).size(), 12U);
  EXPECT_TRUE(WriteDnsFormatError(std::span(good).first(11)).empty());
  EXPECT_TRUE(WriteDnsFormatError(Response({}, 0)).empty());
}

TEST(Dns, AliasesAreFollowedInAnyOrder) {
  const Bytes alias = Bytes{3} + Text("cdn") + Bytes{3} + Text("net") + Bytes{0};
  const Bytes records = alias + Bytes{0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 8, 8, 8, 8} +
                        Bytes{0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 7, 0, 9} + alias;
  const auto response = Parse(Response(records, 2));
  ASSERT_TRUE(response);
  ASSERT_EQ(response->addresses.size(), 1U);
  EXPECT_EQ(response->addresses[0].ToString(), "8.8.8.8");
  EXPECT_EQ(response->ttl_seconds, 7U);
}

TEST(Dns, RecordsOfOtherNamesAreNotOurs) {
  const Bytes other = Bytes{5} + Text("other") + Bytes{0};
  const auto response = Parse(Response(other + Bytes{0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 8, 8, 8, 8}, 1));
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->addresses.empty());
}

TEST(Dns, AnAliasToItselfEnds) {
  const auto response = Parse(Response({0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 7, 0, 2, 0xc0, 12}, 1));
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->addresses.empty());
}

TEST(Dns, AnswersToOtherQuestionsAreNone) {
  const Bytes good = Response({0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 8, 8, 8, 8}, 1);
  EXPECT_TRUE(Parse(good));
  EXPECT_FALSE(ParseDnsResponse(good, 0x1235, "good.example", DnsType::kA));
  EXPECT_FALSE(ParseDnsResponse(good, 0x1234, "evil.example", DnsType::kA));
  EXPECT_FALSE(ParseDnsResponse(good, 0x1234, "good.example", DnsType::kAaaa));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Parse({good.begin(), good.begin() + static_cast<long>(size)})) << size;
  }
}

TEST(Dns, HostNames) {
  EXPECT_EQ(CanonicalHostName("GOOD.Example."), "good.example");
  EXPECT_EQ(CanonicalHostName("a_b-c.d0"), "a_b-c.d0");
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv, "."sv, "a..b"sv, ".a"sv, "evil\0.good"sv, "a b"sv,
                                      "ä.example"sv, "a/b"sv, "a:80"sv, "a\\.b"sv}) {
    EXPECT_EQ(CanonicalHostName(text), "") << text;
  }
  EXPECT_EQ(CanonicalHostName(std::string(64, 'a')), "");
  EXPECT_EQ(CanonicalHostName(std::string(63, 'a')), std::string(63, 'a'));
}

}  // namespace
}  // namespace cordon::net
