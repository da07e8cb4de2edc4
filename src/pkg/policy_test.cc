#include "pkg/policy.h"

#include <gtest/gtest.h>

namespace cordon::pkg {
namespace {

using Json = nlohmann::json;

std::string CodeOf(std::string_view url) {
  const auto parsed = ParseUrl(url);
  return parsed ? parsed->ToString() : parsed.error().code;
}

Policy Allowing(std::vector<std::string> hosts) {
  Policy policy;
  policy.enabled = true;
  policy.allowed_hosts = std::move(hosts);
  return policy;
}

bool MayReach(const Policy& policy, std::string_view url) {
  const auto parsed = ParseUrl(url);
  return parsed && CheckHost(policy, *parsed).has_value();
}

TEST(UrlTest, HasOneForm) {
  EXPECT_EQ(CodeOf("https://Example.COM/a.wasm"), "https://example.com/a.wasm");
  EXPECT_EQ(CodeOf("HTTPS://example.com"), "https://example.com/");
  EXPECT_EQ(CodeOf("https://example.com:443/x?y#z"), "https://example.com/x?y");
  EXPECT_EQ(CodeOf("https://example.com:8443?q"), "https://example.com:8443/?q");
  EXPECT_EQ(CodeOf("https://[::1]:1/x"), "https://[::1]:1/x");
}

TEST(UrlTest, RefusesWhatReadsInTwoWays) {
  for (const char* url : {"https://user@example.com/", "https://example.com@evil/", "https://example.com./x",
                          "https://a:b@c/"}) {
    EXPECT_EQ(CodeOf(url), "E_PKG_HOST_DENIED") << url;
  }
  for (const char* url :
       {"", "http://example.com/", "ftp://x/", "https://", "https:///x", "https://a b/", "https://a\\b/",
        "https://a/\x01", "https://\xc3\xa9/", "https://a:0/", "https://a:70000/", "https://a:/",
        "https://a:1x/", "https://-a/", "https://a..b/", "https://%61/", "https://[::1/", "https://[x]/",
        "file:///etc/passwd"}) {
    EXPECT_EQ(CodeOf(url), "E_PKG_FETCH") << url;
  }
  EXPECT_EQ(CodeOf(std::string_view("https://a\0.example.com/", 24)), "E_PKG_FETCH");
}

TEST(UrlTest, FollowsLocations) {
  const Url base = *ParseUrl("https://a.com:8443/d/e.wasm?x=/y");
  const auto at = [&](const char* location) {
    const auto url = ParseLocation(base, location);
    return url ? url->ToString() : url.error().code;
  };
  EXPECT_EQ(at("https://b.com/f"), "https://b.com/f");
  EXPECT_EQ(at("//b.com/f"), "https://b.com/f");
  EXPECT_EQ(at("/f"), "https://a.com:8443/f");
  EXPECT_EQ(at("f"), "https://a.com:8443/d/f");
  EXPECT_EQ(at("http://b.com/f"), "E_PKG_FETCH");
  EXPECT_EQ(at("https://a.com@b.com/"), "E_PKG_HOST_DENIED");
}

TEST(PolicyTest, DecidesHosts) {
  const Policy policy = Allowing({"trusted.example.com", "*.mirror.org"});
  EXPECT_TRUE(MayReach(policy, "https://trusted.example.com/x"));
  EXPECT_TRUE(MayReach(policy, "https://TRUSTED.example.com/x"));
  EXPECT_TRUE(MayReach(policy, "https://a.b.mirror.org/x"));
  EXPECT_FALSE(MayReach(policy, "https://mirror.org/x"));
  EXPECT_FALSE(MayReach(policy, "https://evilmirror.org/x"));
  EXPECT_FALSE(MayReach(policy, "https://a.mirror.org.evil.com/x"));
  EXPECT_FALSE(MayReach(policy, "https://example.com/x"));
  EXPECT_FALSE(MayReach(policy, "https://trusted.example.com.evil.com/"));
  EXPECT_FALSE(MayReach(Allowing({}), "https://example.com/x"));
  Policy any;
  EXPECT_EQ(CheckHost(any, *ParseUrl("https://a.com/")).error().code, "E_PKG_DISABLED");
  any.enabled = true;
  EXPECT_TRUE(MayReach(any, "https://anything.com/"));
  EXPECT_FALSE(NamesHost(any, "localhost"));
  EXPECT_TRUE(NamesHost(Allowing({"localhost"}), "localhost"));
  EXPECT_FALSE(NamesHost(Allowing({"*.host"}), "local.host"));
  EXPECT_EQ(CheckHost(policy, *ParseUrl("https://evil.com/")).error().message,
            "Host 'evil.com' is not in the allowed hosts list");
}

TEST(PolicyTest, IsReadStrictly) {
  const auto policy = ParsePolicy(Json::parse(
      R"({"enabled": true, "allowedHosts": ["A.com", "*.b.org"], "maxPackageBytes": 5, "maxInstalledPackages": 2,
          "requireIntegrity": true, "index": "https://a.com/pkg-index.json"})"));
  ASSERT_TRUE(policy) << policy.error();
  EXPECT_EQ(policy->allowed_hosts, (std::vector<std::string>{"a.com", "*.b.org"}));
  EXPECT_EQ(policy->max_package_bytes, 5U);
  EXPECT_FALSE(ParsePolicy(Json::object())->enabled);
  for (const char* bad :
       {"[]", R"({"enabled": "yes"})", R"({"allowedHosts": "a.com"})", R"({"allowedHosts": ["*"]})",
        R"({"allowedHosts": ["a.*.com"]})", R"({"maxPackageBytes": -1})", R"({"maxPackageBytes": 0})",
        R"({"index": "http://a.com/"})", R"({"allowHosts": []})"}) {
    EXPECT_FALSE(ParsePolicy(Json::parse(bad))) << bad;
  }
}

TEST(NameTest, IsOneComponent) {
  for (const char* name : {"a", "mytool", "php-cgi", "g++", "x_1.2"}) EXPECT_TRUE(CheckName(name)) << name;
  for (const char* name : {"", ".", "..", "a/b", "../x", "-rf", ".hidden", "a b", "a\n", "\xc3\xa9", "a;b"}) {
    EXPECT_FALSE(CheckName(name)) << name;
  }
  EXPECT_FALSE(CheckName(std::string(65, 'a')));
  EXPECT_EQ(CheckName("../x").error().message, "Invalid package name: '../x'");
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/x/mytool.wasm?v=1/2")), "mytool");
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/")), "");
}

TEST(IntegrityTest, ComparesHashes) {
  const std::string hash(64, 'a');
  EXPECT_EQ(CleanHash("sha256:" + std::string(64, 'A')), hash);
  EXPECT_FALSE(CleanHash(std::string(63, 'a')));
  EXPECT_FALSE(CleanHash(std::string(64, 'g')));
  Policy policy;
  EXPECT_TRUE(CheckIntegrity(policy, "", hash));
  EXPECT_TRUE(CheckIntegrity(policy, hash, hash));
  EXPECT_EQ(CheckIntegrity(policy, std::string(64, 'b'), hash).error().code, "E_PKG_INTEGRITY");
  policy.require_integrity = true;
  EXPECT_EQ(CheckIntegrity(policy, "", hash).error().message,
            "Package policy requires an integrity hash but none was provided");
}

}  // namespace
}  // namespace cordon::pkg
