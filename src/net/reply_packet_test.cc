#include "net/reply_packet.h"

#include <gtest/gtest.h>

#include <span>

namespace cordon::net {
namespace {

uint16_t Sum(std::span<const uint8_t> bytes, uint32_t start) {
  uint32_t sum = start;
  for (size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<uint16_t>(sum);
}

const Endpoint kFrom4 = {*ParseAddress("1.2.3.4"), 53};
const Endpoint kTo4 = {*ParseAddress("192.0.0.2"), 40000};
const Endpoint kFrom6 = {*ParseAddress("2600::1"), 53};
const Endpoint kTo6 = {*ParseAddress("fd00::2"), 40000};

// The sum over everything that a checksum covers is all ones.
TEST(ReplyPacket, ChecksumsAreRight) {
  for (const size_t size : {0U, 1U, 2U, 999U, 65507U}) {
    const std::vector<uint8_t> payload(size, 0xa5);
    const auto four = WriteDatagram(kFrom4, kTo4, payload);
    const std::span<const uint8_t> bytes(four);
    ASSERT_EQ(four.size(), 28 + size);
    EXPECT_EQ(Sum(bytes.first(20), 0), 0xffff);
    const auto udp_size = static_cast<uint32_t>(8 + size);
    EXPECT_EQ(Sum(bytes.subspan(20), Sum(bytes.subspan(12, 8), 17 + udp_size)), 0xffff);
    const auto six = WriteDatagram(kFrom6, kTo6, payload);
    ASSERT_EQ(six.size(), 48 + size);
    EXPECT_EQ(Sum(std::span(six).subspan(40), Sum(std::span(six).subspan(8, 32), 17 + udp_size)),
              0xffff);
  }
}

TEST(ReplyPacket, UnreachableQuotesWhatWasSent) {
  const std::vector<uint8_t> payload(1000, 7);
  const auto four = WriteUnreachable(kTo4, kFrom4, payload);
  EXPECT_EQ(four[9], 1);
  EXPECT_EQ(four[20], 3);
  EXPECT_EQ(four[21], 3);
  EXPECT_EQ(Sum(std::span(four).subspan(20), 0), 0xffff);
  EXPECT_EQ(four[28], 0x45);
  EXPECT_LT(four.size(), 200U);
  const auto six = WriteUnreachable(kTo6, kFrom6, payload);
  EXPECT_EQ(six[6], 58);
  EXPECT_EQ(six[40], 1);
  EXPECT_EQ(six[41], 4);
  const auto size = static_cast<uint32_t>(six.size() - 40);
  EXPECT_EQ(Sum(std::span(six).subspan(40), Sum(std::span(six).subspan(8, 32), 58 + size)), 0xffff);
}

}  // namespace
}  // namespace cordon::net
