#include "policy/host_rule.h"

#include <gtest/gtest.h>

namespace cordon::policy {
namespace {

std::string Shown(std::string_view text) {
  const auto rule = ParseHostRule(text);
  return rule ? rule->ToString() : "refused";
}

TEST(HostRule, FormsAreUnderstood) {
  EXPECT_EQ(Shown("Registry.Example.ORG"), "registry.example.org");
  EXPECT_EQ(Shown("a.example."), "a.example");
  EXPECT_EQ(Shown("*.example.org"), "*.example.org");
  EXPECT_EQ(Shown(".example.org:8443"), "*.example.org:8443");
  EXPECT_EQ(Shown(".*\\.example\\.org"), "*.example.org");
  EXPECT_EQ(Shown("10.1.2.3/8"), "10.0.0.0/8");
  EXPECT_EQ(Shown("192.0.2.1:53"), "192.0.2.1:53");
  EXPECT_EQ(Shown("[2001:db8::1]:443"), "[2001:db8::1]:443");
  EXPECT_EQ(Shown("2001:db8::/32"), "2001:db8::/32");
  EXPECT_EQ(Shown("localhost:3000"), "localhost:3000");
}

TEST(HostRule, EverythingElseIsRefused) {
  const std::string_view nul("a\0.example", 10);
  const std::string_view address_with_nul("10.0.0.1\0.example", 17);
  for (const std::string_view text :
       {std::string_view(""), std::string_view("*"), std::string_view("*.*.a"),
        std::string_view("a..b"), std::string_view("a b"), std::string_view("a.example:0"),
        std::string_view("a.example:99999"), std::string_view("1.2.3"), std::string_view("0x7f.1"),
        std::string_view("10.0.0.0/33"), std::string_view("[a]:1"), std::string_view("[::1"),
        std::string_view("a/b"), std::string_view("-a.example"), std::string_view("a.123"), nul,
        address_with_nul, std::string_view("a.example:80:80"), std::string_view("x.*.example")}) {
    EXPECT_EQ(Shown(text), "refused") << text;
  }
}

TEST(HostRule, CoveringIsNarrowing) {
  const auto covers = [](const char* wide, const char* narrow) {
    return ParseHostRule(wide)->Covers(*ParseHostRule(narrow));
  };
  EXPECT_TRUE(covers("*.example.org", "a.b.example.org"));
  EXPECT_TRUE(covers("*.example.org", "*.a.example.org"));
  EXPECT_TRUE(covers("a.example", "a.example:443"));
  EXPECT_TRUE(covers("10.0.0.0/8", "10.1.0.0/16"));
  EXPECT_FALSE(covers("*.example.org", "example.org"));
  EXPECT_FALSE(covers("*.example.org", "badexample.org"));
  EXPECT_FALSE(covers("a.example", "a.example:22"));
  EXPECT_FALSE(covers("a.example:443", "a.example"));
  EXPECT_FALSE(covers("10.0.0.0/16", "10.0.0.0/8"));
  EXPECT_FALSE(covers("0.0.0.0/0", "a.example"));
}

TEST(HostRule, HostsOfAddresses) {
  const auto host = [](const char* url) {
    const auto rule = HostOfUrl(url);
    return rule ? rule->ToString() : "none";
  };
  EXPECT_EQ(host("https://u:p@a.example:8443/x?y"), "a.example:8443");
  EXPECT_EQ(host("http://a.example"), "a.example:80");
  EXPECT_EQ(host("git+ssh://git@a.example/x.git"), "a.example:22");
  EXPECT_EQ(host("https://evil.example\\@good.example/"), "evil.example:443");
  EXPECT_EQ(host("https://good.example@evil.example/"), "evil.example:443");
  EXPECT_EQ(host("https://*.example/"), "none");
  EXPECT_EQ(host("https://10.0.0.0/8"), "10.0.0.0:443");
  EXPECT_EQ(host("file:///etc/passwd"), "none");
  EXPECT_EQ(host("https:///x"), "none");
}

}  // namespace
}  // namespace cordon::policy
