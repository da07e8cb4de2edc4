#include "net/address.h"

#include <gtest/gtest.h>

namespace cordon::net {
namespace {

std::string What(const char* text) {
  const auto address = ParseAddress(text);
  if (!address) return "(no address)";
  const SpecialRange* range = FindSpecialRange(*address);
  return range == nullptr ? "" : range->what;
}

TEST(Address, OrdinaryOnesAreNotSpecial) {
  for (const char* text : {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255",
                           "100.128.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
                           "2606:4700::1111", "2a00:1450::1", "2001:200::1", "3ffe::1"}) {
    EXPECT_EQ(What(text), "") << text;
  }
}

TEST(Address, EverythingElseSaysWhatItIs) {
  const struct {
    const char* text;
    const char* what;
  } rows[] = {{"0.0.0.0", "this network"},
              {"10.255.255.255", "private"},
              {"100.64.0.1", "shared by a provider"},
              {"100.100.100.200", "metadata service"},
              {"127.0.0.1", "loopback"},
              {"127.255.255.254", "loopback"},
              {"168.63.129.16", "metadata service"},
              {"169.254.169.254", "metadata service"},
              {"169.254.1.1", "link-local"},
              {"172.16.0.0", "private"},
              {"172.31.255.255", "private"},
              {"192.0.0.192", "metadata service"},
              {"192.0.0.1", "reserved for protocols"},
              {"192.0.2.1", "documentation"},
              {"192.168.255.255", "private"},
              {"198.18.0.1", "benchmarking"},
              {"198.19.255.255", "benchmarking"},
              {"198.51.100.7", "documentation"},
              {"203.0.113.7", "documentation"},
              {"224.0.0.251", "multicast"},
              {"255.255.255.255", "reserved"},
              {"::", "reserved"},
              {"::1", "loopback"},
              {"::ffff:127.0.0.1", "loopback"},
              {"::ffff:10.0.0.1", "private"},
              {"::10.0.0.1", "reserved"},
              {"::ffff:0:10.0.0.1", "reserved"},
              {"64:ff9b::8.8.8.8", "NAT64"},
              {"64:ff9b:1::1", "NAT64"},
              {"100::1", "discarded"},
              {"2001::1", "Teredo"},
              {"2001:20::1", "reserved for protocols"},
              {"2001:db8::1", "documentation"},
              {"2002:7f00:1::", "6to4"},
              {"3fff::1", "documentation"},
              {"5f00::1", "reserved"},
              {"fc00::1", "private"},
              {"fd00:ec2::254", "metadata service"},
              {"fd20:ce::254", "metadata service"},
              {"fd20:ce:0:1::1", "private"},
              {"fe80::1", "link-local"},
              {"febf::1", "link-local"},
              {"fec0::1", "private"},
              {"ff02::fb", "multicast"}};
  for (const auto& row : rows) EXPECT_EQ(What(row.text), row.what) << row.text;
}

TEST(Address, WhatIsHiddenInAnother) {
  const auto embedded = [](const char* text) {
    const auto address = EmbeddedIpv4(*ParseAddress(text));
    return address ? address->ToString() : "";
  };
  EXPECT_EQ(embedded("64:ff9b::10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(embedded("2002:a00:1::1"), "10.0.0.1");
  EXPECT_EQ(embedded("2001:0:4136:e378:8000:63bf:f5ff:fffe"), "10.0.0.1");
  EXPECT_EQ(embedded("::10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(embedded("::ffff:0:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(embedded("::1"), "");
  EXPECT_EQ(embedded("2606:4700::1111"), "");
  EXPECT_EQ(embedded("10.0.0.1"), "");
}

TEST(Address, TextAndSocketAddressesComeBack) {
  for (const char* text : {"1.2.3.4:80", "[2606:4700::1]:443"}) {
    const bool is_ipv4 = text[0] != '[';
    const Endpoint endpoint = {*ParseAddress(is_ipv4 ? "1.2.3.4" : "2606:4700::1"),
                               static_cast<uint16_t>(is_ipv4 ? 80 : 443)};
    EXPECT_EQ(endpoint.ToString(), text);
    sockaddr_storage storage = {};
    (void)FillSockaddr(endpoint, &storage);
    EXPECT_EQ(EndpointOf(storage), endpoint);
  }
  EXPECT_FALSE(ParseAddress(std::string_view("1.2.3.4\0.good.example", 21)));
  EXPECT_FALSE(ParseAddress("1.2.3"));
  EXPECT_FALSE(ParseAddress("0x7f.1"));
  EXPECT_FALSE(ParseAddress("fe80::1%lo"));
}

}  // namespace
}  // namespace cordon::net
