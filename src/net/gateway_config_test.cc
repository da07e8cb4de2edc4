#include "net/gateway_config.h"

#include <gtest/gtest.h>

#include "net/summary.h"

namespace cordon::net {
namespace {

TEST(GatewayConfig, WhatIsWrittenIsRead) {
  GatewayConfig config;
  config.network.mode = policy::NetworkMode::kAll;
  for (const char* rule : {"good.example", "*.wild.example:8443", "10.0.0.0/8:5432", "8.8.8.8",
                           "[2001:db8::/32]:53", "fd00::/8", "::/0", "0.0.0.0/0"}) {
    config.network.allow.push_back(
        {*policy::ParseHostRule(rule), rule[0] == '1', policy::Origin::kUser, "why"});
  }
  config.resolvers = {{*ParseAddress("127.0.0.53"), 53}, {*ParseAddress("fd00::53"), 5353}};
  config.hosts = {{"intern.example", *ParseAddress("10.1.1.1")}};
  config.max_flows = 7;
  const std::string text = WriteConfig(config);
  const auto back = ReadConfig(text);
  ASSERT_TRUE(back.has_value()) << back.error().ToString();
  EXPECT_EQ(WriteConfig(*back), text);
  ASSERT_EQ(back->network.allow.size(), 8U);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(back->network.allow[i].rule.prefix_bits, config.network.allow[i].rule.prefix_bits);
    EXPECT_EQ(back->network.allow[i].rule.port, config.network.allow[i].rule.port);
    EXPECT_EQ(back->network.allow[i].may_be_private, config.network.allow[i].may_be_private);
  }
  EXPECT_EQ(back->max_flows, 7U);
}

TEST(GatewayConfig, AnythingElseIsRefused) {
  for (const char* text : {"mode some\n", "allow good.example\n", "allow private a b.example:x\n",
                           "resolver 1.2.3\n", "resolver 1.2.3.4 99999\n", "what\n", "\n"}) {
    EXPECT_FALSE(ReadConfig(text).has_value()) << text;
  }
}

TEST(GatewayConfig, TheHostsFilesAreRead) {
  const auto resolvers = ReadResolvers(
      "# x\nsearch a.b\nnameserver 10.0.0.1\n nameserver\tfd00::1 \nnameserver x\n"
      "nameserver 1.1.1.1\nnameserver 2.2.2.2\n");
  ASSERT_EQ(resolvers.size(), 3U);
  EXPECT_EQ(resolvers[1].ToString(), "[fd00::1]:53");
  EXPECT_EQ(ReadResolvers("")[0].ToString(), "127.0.0.1:53");
  const auto hosts =
      ReadHosts("127.0.0.1 localhost\n10.1.1.1\tIntern.example intern # c d\n::1\n x y\n");
  ASSERT_EQ(hosts.size(), 3U);
  EXPECT_EQ(hosts[1].first, "intern.example");
  EXPECT_EQ(hosts[2].second.ToString(), "10.1.1.1");
}

TEST(Summary, IsReadAsItWasWrittenAndStaysSmall) {
  Summary summary;
  for (int i = 0; i < 1000; ++i) summary.Refuse("n" + std::to_string(i) + ".example");
  summary.Allow("good.example:443");
  summary.Allow("good.example:443");
  const auto back = Summary::Read(summary.Write());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->allowed, summary.allowed);
  EXPECT_EQ(back->refused.size(), Summary::kMostHosts);
  EXPECT_EQ(back->more, 1000 - Summary::kMostHosts);
  EXPECT_TRUE(back->ToString().starts_with("1 host allowed, 256 refused: n0.example, "));
  EXPECT_FALSE(Summary::Read("allowed x\n"));
  EXPECT_FALSE(Summary::Read("more 1"));
}

}  // namespace
}  // namespace cordon::net
