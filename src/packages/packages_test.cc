// What decides about packages, and what is read of others' text.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "packages/index.h"
#include "packages/installed.h"
#include "packages/policy.h"
#include "packages/store.h"

namespace cordon::packages {
namespace {

using Json = nlohmann::json;
using namespace std::string_literals;

// The URL in its one form, or the code of the refusal.
std::string Read(std::string_view url) {
  const auto parsed = ParseUrl(url);
  return parsed ? parsed->ToString() : TextOf(parsed.error().code);
}

Policy PolicyOf(const char* text) {
  auto policy = ParsePolicy(Json::parse(text));
  EXPECT_TRUE(policy) << policy.error();
  return *policy;
}

// Whether the host may be connected to, as far as its name decides.
bool MayReach(const Policy& policy, std::string_view url) {
  const auto parsed = ParseUrl(url);
  return parsed && CheckHost(policy, *parsed);
}

TEST(PackageUrl, HasOneForm) {
  EXPECT_EQ(Read("https://Example.COM/a.wasm"), "https://example.com/a.wasm");
  EXPECT_EQ(Read("HTTPS://example.com"), "https://example.com/");
  EXPECT_EQ(Read("https://example.com:443/x?y#z"), "https://example.com/x?y");
  EXPECT_EQ(Read("https://example.com:8443?q"), "https://example.com:8443/?q");
  EXPECT_EQ(Read("https://[2001:DB8::1]:1/x"), "https://[2001:db8::1]:1/x");
  EXPECT_EQ(Read("https://a.example/%2e%2e/x"), "https://a.example/%2e%2e/x");
}

TEST(PackageUrl, RefusesHostsInDisguise) {
  const std::string disguised[] = {"https://user@example.com/",
                                   "https://example.com@evil/",
                                   "https://a:b@c/",
                                   "https://example.com./x",
                                   "https://example.com.:443/x",
                                   "https://a\\@evil/",
                                   "https://%61.example/",
                                   "https://a\0.example.com/x"s,
                                   "https://a.example\0/x"s,
                                   "https://b\xc3\xbc.example/",
                                   "https://a b/",
                                   "https://a\texample/",
                                   "https://a\x7f/"};
  for (const std::string& url : disguised) EXPECT_EQ(Read(url), "E_PKG_HOST_DENIED") << url;
}

TEST(PackageUrl, RefusesWhatIsNone) {
  for (const char* url : {"",
                          "http://example.com/",
                          "ftp://x/",
                          "https:/x",
                          "https://",
                          "https:///x",
                          "https://a:0/",
                          "https://a:70000/",
                          "https://a:/",
                          "https://a:1x/",
                          "https://-a/",
                          "https://a..b/",
                          "https://.a/",
                          "https://[::1/",
                          "https://[x]/",
                          "https://[1234]/",
                          "file:///etc/passwd",
                          "https://a/b c",
                          "https://a/\x01",
                          "https://a/\\b",
                          "https://a/\"",
                          "https://[::1]x/"}) {
    EXPECT_EQ(Read(url), "E_PKG_FETCH") << url;
  }
  EXPECT_EQ(Read("https://a/" + std::string(3000, 'a')), "E_PKG_FETCH");
  EXPECT_EQ(Read("https://" + std::string(64, 'a') + "/"), "E_PKG_FETCH");
  EXPECT_EQ(ParseUrl("ftp://x").error().message, "invalid URL 'ftp://x'");
}

TEST(PackageUrl, FollowsLocations) {
  const Url base = *ParseUrl("https://a.com:8443/d/e.wasm?x=/y");
  const auto at = [&](std::string_view location) {
    const auto url = ParseLocation(base, location);
    return url ? url->ToString() : TextOf(url.error().code);
  };
  EXPECT_EQ(at("https://b.com/f"), "https://b.com/f");
  EXPECT_EQ(at("//b.com/f"), "https://b.com/f");
  EXPECT_EQ(at("/f"), "https://a.com:8443/f");
  EXPECT_EQ(at("f"), "https://a.com:8443/d/f");
  EXPECT_EQ(at("f?u=https://b.com/"), "https://a.com:8443/d/f?u=https://b.com/");
  EXPECT_EQ(at("http://b.com/f"), "E_PKG_FETCH");
  EXPECT_EQ(at("javascript:x"), "E_PKG_FETCH");
  EXPECT_EQ(at("https://a.com@b.com/"), "E_PKG_HOST_DENIED");
  EXPECT_EQ(at("//a.com@b.com/"), "E_PKG_HOST_DENIED");
}

TEST(PackageUrl, NamesPackages) {
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/x/mytool.wasm?v=1/2")), "mytool");
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/tool")), "tool");
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/")), "");
  EXPECT_EQ(NameOf(*ParseUrl("https://a.com/x/..")), "..");
}

TEST(PackagePolicy, DecidesHosts) {
  const Policy policy = PolicyOf(
      R"({"enabled": true, "allowedHosts": ["trusted.example.com", "*.mirror.org", "dev.example:8443", "10.1.0.0/16"]})");
  EXPECT_TRUE(MayReach(policy, "https://trusted.example.com/x"));
  EXPECT_TRUE(MayReach(policy, "https://TRUSTED.example.com:443/x"));
  EXPECT_TRUE(MayReach(policy, "https://a.b.mirror.org/x"));
  EXPECT_TRUE(MayReach(policy, "https://dev.example:8443/x"));
  EXPECT_TRUE(MayReach(policy, "https://10.1.2.3/x"));
  for (const char* url :
       {"https://mirror.org/x", "https://evilmirror.org/x", "https://a.mirror.org.evil.com/x",
        "https://example.com/x", "https://trusted.example.com.evil.com/", "https://dev.example/",
        "https://trusted.example.com:8443/", "https://10.2.2.3/", "https://[::1]/"}) {
    EXPECT_FALSE(MayReach(policy, url)) << url;
  }
  EXPECT_EQ(CheckHost(policy, *ParseUrl("https://evil.com/")).error().message,
            "Host 'evil.com' is not in the allowed hosts list");
  EXPECT_FALSE(
      MayReach(PolicyOf(R"({"enabled": true, "allowedHosts": []})"), "https://example.com/"));
  EXPECT_TRUE(MayReach(PolicyOf(R"({"enabled": true})"), "https://example.com/"));
  const auto disabled = CheckHost(PolicyOf("{}"), *ParseUrl("https://a.com/"));
  EXPECT_EQ(disabled.error().code, PackageCode::kDisabled);
  EXPECT_EQ(disabled.error().message, "Package installation is disabled");
}

TEST(PackagePolicy, DecidesAddresses) {
  const auto may = [](const Policy& policy, const char* address) {
    return CheckAddress(policy, "h.example", *net::ParseAddress(address)).has_value();
  };
  const Policy policy = PolicyOf(R"({"enabled": true, "allowedHosts": ["*.example"]})");
  for (const char* address : {"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0",
                              "100.64.0.1", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1",
                              "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"}) {
    EXPECT_FALSE(may(policy, address)) << address;
  }
  EXPECT_TRUE(may(policy, "8.8.8.8"));
  EXPECT_TRUE(may(policy, "2606:4700::1"));
  const Policy open = PolicyOf(R"({"enabled": true, "allowPrivateHosts": true})");
  EXPECT_TRUE(may(open, "127.0.0.1"));
  const Policy named = PolicyOf(R"({"enabled": true, "allowedHosts": ["10.1.0.0/16:8443"]})");
  EXPECT_TRUE(may(named, "10.1.2.3"));
  EXPECT_FALSE(may(named, "10.2.2.3"));
}

TEST(PackagePolicy, IsReadStrictly) {
  const Policy policy = PolicyOf(
      R"({"enabled": true, "maxPackageBytes": 5, "maxInstalledPackages": 2.0, "requireIntegrity": true,
          "allowShadowing": null, "index": "https://a.com/pkg-index.json", "indexKey": "RWQ"})");
  EXPECT_EQ(policy.max_package_bytes, 5U);
  EXPECT_EQ(policy.max_installed, 2U);
  EXPECT_TRUE(policy.require_integrity);
  EXPECT_FALSE(policy.allow_shadowing);
  EXPECT_FALSE(PolicyOf("{}").enabled);
  for (const char* bad :
       {"[]", "true", R"({"enabled": "yes"})", R"({"enabled": 1})", R"({"allowedHosts": "a.com"})",
        R"({"allowedHosts": [1]})", R"({"allowedHosts": ["a.*.com"]})",
        R"({"maxPackageBytes": -1})", R"({"maxPackageBytes": 0})", R"({"maxPackageBytes": 1.5})",
        R"({"maxPackageBytes": 1e300})", R"({"index": "http://a.com/"})", R"({"index": ""})",
        R"({"allowHosts": []})"}) {
    EXPECT_FALSE(ParsePolicy(Json::parse(bad))) << bad;
  }
}

TEST(PackageName, IsOneComponent) {
  for (const char* name : {"a", "mytool", "php-cgi", "g++", "x_1.2", "A"}) {
    EXPECT_TRUE(CheckName(name)) << name;
  }
  const std::string bad[] = {
      "",    ".",   "..",  "a/b",      "../x",  "-rf",  ".hidden",
      "a b", "a\n", "a;b", "\xc3\xa9", "a\0b"s, "a\\b", std::string(65, 'a')};
  for (const std::string& name : bad) EXPECT_FALSE(CheckName(name)) << name;
  EXPECT_EQ(CheckName("../x").error().message, "Invalid package name: '../x'");
}

TEST(PackageIntegrity, ComparesHashes) {
  const std::string hash(64, 'a');
  EXPECT_EQ(CleanHash("sha256:" + std::string(64, 'A')), hash);
  for (const std::string& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
                                 std::string(), std::string(63, 'a') + "\0"s}) {
    EXPECT_FALSE(CleanHash(bad)) << bad;
  }
  Policy policy;
  EXPECT_TRUE(CheckIntegrity(policy, "", hash));
  EXPECT_TRUE(CheckIntegrity(policy, hash, hash));
  EXPECT_EQ(CheckIntegrity(policy, std::string(64, 'b'), hash).error().message,
            "SHA-256 mismatch: expected " + std::string(64, 'b') + ", got " + hash);
  policy.require_integrity = true;
  EXPECT_EQ(CheckIntegrity(policy, "", hash).error().message,
            "Package policy requires an integrity hash but none was provided");
  EXPECT_EQ(CheckSize(policy, policy.max_package_bytes + 1).error().code, PackageCode::kTooLarge);
}

Json GoodIndex() {
  return {{"version", 1},
          {"packages",
           {{"tool",
             {{"url", "bin/tool.wasm"},
              {"sha256", std::string(64, 'a')},
              {"size", 7},
              {"description", "x\x1b[2J"}}}}}};
}

TEST(PackageIndex, IsReadStrictly) {
  const Url base = *ParseUrl("https://a.com/d/pkg-index.json");
  const auto index = ParseIndex(base, GoodIndex().dump());
  ASSERT_TRUE(index) << index.error().message;
  const IndexEntry& tool = index->at("tool");
  EXPECT_EQ(tool.url.ToString(), "https://a.com/d/bin/tool.wasm");
  EXPECT_EQ(tool.size, 7U);
  EXPECT_EQ(tool.description, "x\\x1b[2J");

  const auto broken = [&](const std::function<void(Json&)>& change) {
    Json json = GoodIndex();
    change(json);
    const auto read = ParseIndex(base, json.dump());
    return !read && read.error().code == PackageCode::kIndex;
  };
  EXPECT_TRUE(broken([](Json& json) { json["version"] = 2; }));
  EXPECT_TRUE(broken([](Json& json) { json.erase("packages"); }));
  EXPECT_TRUE(broken([](Json& json) { json["packages"] = Json::array(); }));
  EXPECT_TRUE(broken([](Json& json) { json["packages"]["../x"] = json["packages"]["tool"]; }));
  EXPECT_TRUE(broken([](Json& json) { json["packages"]["tool"] = 1; }));
  for (const char* member : {"url", "sha256", "size"}) {
    EXPECT_TRUE(broken([&](Json& json) { json["packages"]["tool"].erase(member); })) << member;
  }
  EXPECT_TRUE(broken([](Json& json) { json["packages"]["tool"]["size"] = -1; }));
  EXPECT_TRUE(broken([](Json& json) { json["packages"]["tool"]["url"] = "http://a.com/x"; }));
  const std::string whole = GoodIndex().dump();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseIndex(base, std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(InstalledList, SurvivesWhatImportsBring) {
  InstalledPackages packages;
  packages["tool"] = {std::string(64, 'a'), 7, "https://a.com/tool.wasm", 1'700'000'000'123};
  EXPECT_EQ(ReadList(WriteList(packages)), packages);
  EXPECT_TRUE(ReadList("").empty());
  EXPECT_TRUE(ReadList("[1]").empty());
  EXPECT_TRUE(ReadList(R"({"packages": 1})").empty());
  Json json = Json::parse(WriteList(packages));
  json["packages"]["../../etc/x"] = json["packages"]["tool"];
  json["packages"]["other"] = {{"sha256", "zz"}, {"url", "https://a.com/"}};
  json["packages"]["third"] = {{"sha256", std::string(64, 'a')}, {"url", 7}};
  EXPECT_EQ(ReadList(json.dump()), packages);
}

TEST(PackageStore, HashesWhatItReads) {
  const auto parent =
      std::filesystem::temp_directory_path() /
      ("cordon-store-" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "-" +
       std::to_string(getpid()));
  const auto store = Store::Open(parent);
  ASSERT_TRUE(store) << store.error().ToString();
  const std::string text = "module";
  const auto bytes = std::as_bytes(std::span(text));
  const std::string hash = HashOf(bytes);
  EXPECT_FALSE(store->Load(hash));
  ASSERT_TRUE(store->Save(hash, bytes));
  ASSERT_TRUE(store->Save(hash, bytes));
  EXPECT_TRUE(store->Load(hash));
  const auto file = parent / "cordon/packages" / (hash + ".wasm");
  std::ofstream(file) << "other";
  EXPECT_FALSE(store->Load(hash));
  EXPECT_FALSE(std::filesystem::exists(file));
  std::filesystem::create_symlink("/etc/passwd", file);
  EXPECT_FALSE(store->Load(hash));
  std::filesystem::remove_all(parent);
}

TEST(PackageCodes, AreWritten) {
  EXPECT_STREQ(TextOf(PackageCode::kHostDenied), "E_PKG_HOST_DENIED");
  EXPECT_EQ(CodeOf("E_PKG_TOO_LARGE"), PackageCode::kTooLarge);
  EXPECT_EQ(CodeOf("nonsense"), PackageCode::kFetch);
}

}  // namespace
}  // namespace cordon::packages
