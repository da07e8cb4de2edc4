#include "mcp/sandbox_request.h"

#include <gtest/gtest.h>

namespace cordon::mcp {
namespace {

using rpc::Json;

PackageSettings Packages(const char* text) {
  const Json json = Json::parse(text);
  return {json, *packages::ParsePolicy(json)};
}

std::string WrongWith(const Settings& settings, const char* arguments) {
  const auto request = RequestSandbox(settings, Json::parse(arguments));
  return request ? "" : request.error();
}

Json CreateWith(const Settings& settings, const char* arguments) {
  const auto request = RequestSandbox(settings, Json::parse(arguments));
  EXPECT_TRUE(request.has_value()) << request.error();
  return request ? request->create : Json();
}

TEST(SandboxRequestTest, LimitsAreTheServersOrLess) {
  Settings settings;
  settings.memory_bytes = 1 << 26;
  const Json limits = CreateWith(settings, "{}")["limits"];
  EXPECT_EQ(limits["memoryBytes"], 1 << 26);
  EXPECT_EQ(limits["timeoutMs"], 30'000);
  EXPECT_EQ(
      CreateWith(settings, R"({"limits": {"memory_bytes": 33554432}})")["limits"]["memoryBytes"],
      1 << 25);
  EXPECT_EQ(WrongWith(settings, R"({"limits": {"memory_bytes": 67108865}})"),
            "limits.memory_bytes must be at most 67108864 (this server's setting)");
  EXPECT_EQ(WrongWith(settings, R"({"limits": {"timeout_ms": 600001}})"),
            "limits.timeout_ms must be at most 600000 (this server's setting)");
}

TEST(SandboxRequestTest, NiceIsTheServersOrMore) {
  Settings settings;
  settings.nice = 5;
  EXPECT_EQ(CreateWith(settings, "{}")["nice"], 5);
  EXPECT_EQ(CreateWith(settings, R"({"nice": 6})")["nice"], 6);
  EXPECT_NE(WrongWith(settings, R"({"nice": 4})"), "");
}

TEST(SandboxRequestTest, ToolsArePartOfTheServers) {
  Settings settings;
  EXPECT_FALSE(CreateWith(settings, "{}").contains("security"));
  EXPECT_EQ(CreateWith(settings, R"({"tools": ["cat"]})")["security"]["toolAllowlist"],
            Json::array({"cat"}));
  settings.tools = {"cat", "ls"};
  EXPECT_EQ(CreateWith(settings, "{}")["security"]["toolAllowlist"], Json::array({"cat", "ls"}));
  EXPECT_EQ(CreateWith(settings, R"({"tools": []})")["security"]["toolAllowlist"], Json::array());
  EXPECT_EQ(WrongWith(settings, R"({"tools": ["ls", "rm"]})"),
            "tools: this server does not allow rm");
}

TEST(SandboxRequestTest, PackagesAreForTheOperatorToAllow) {
  Settings settings;
  EXPECT_FALSE(CreateWith(settings, "{}").contains("packagePolicy"));
  EXPECT_FALSE(
      CreateWith(settings, R"({"package_policy": {"enabled": false}})").contains("packagePolicy"));
  EXPECT_NE(WrongWith(settings, R"({"package_policy": {"enabled": true}})"), "");
  EXPECT_NE(WrongWith(settings, R"({"package_policy": {"allowed_hosts": ["a.b"]}})"), "");
  settings.packages = Packages(
      R"({"enabled": true, "allowedHosts": ["a.org", "*.b.org", "10.1.0.0/16"], "maxPackageBytes": 1000, "index": "https://a.org/"})");
  EXPECT_EQ(CreateWith(settings, "{}")["packagePolicy"], settings.packages->params);
  EXPECT_FALSE(
      CreateWith(settings, R"({"package_policy": {"enabled": false}})").contains("packagePolicy"));
  const Json less = CreateWith(
      settings,
      R"({"package_policy": {"allowed_hosts": ["x.b.org"], "max_package_bytes": 9, "require_integrity": true}})")
      ["packagePolicy"];
  EXPECT_EQ(less["allowedHosts"], Json::array({"x.b.org"}));
  EXPECT_EQ(less["maxPackageBytes"], 9);
  EXPECT_EQ(less["requireIntegrity"], true);
  EXPECT_EQ(less["index"], "https://a.org/");
}

TEST(SandboxRequestTest, HostsOfPackagesAreCoveredByTheServers) {
  Settings settings;
  const auto wrong = [&](const std::string& host) {
    const Json arguments = {{"package_policy", {{"allowed_hosts", {host}}}}};
    return WrongWith(settings, arguments.dump().c_str());
  };
  settings.packages = Packages(
      R"({"enabled": true, "allowedHosts": ["a.org", "*.b.org", "10.1.0.0/16", "c.org:8443"]})");
  for (const char* host : {"a.org", "a.org:443", "x.b.org", "*.b.org", "*.x.b.org", "10.1.2.3",
                           "10.1.2.0/24", "c.org:8443"}) {
    EXPECT_EQ(wrong(host), "") << host;
  }
  // A row without a port is of 443, here as there.
  for (const char* host : {"b.org", "*.org", "*.a.org", "a.org:80", "c.org", "10.0.0.0/8",
                           "10.2.0.1", "127.0.0.1", "[::1]", "", "a/b"}) {
    EXPECT_NE(wrong(host), "") << host;
  }
  // Every public host: a row with an address would open a private one.
  settings.packages = Packages(R"({"enabled": true})");
  EXPECT_EQ(wrong("a.org"), "");
  EXPECT_NE(wrong("127.0.0.1"), "");
  EXPECT_NE(wrong("::1"), "");
  settings.packages = Packages(R"({"enabled": true, "allowPrivateHosts": true})");
  EXPECT_EQ(wrong("127.0.0.1"), "");
}

TEST(SandboxRequestTest, NumbersOfPackagesAreTheServersOrLess) {
  Settings settings;
  settings.packages =
      Packages(R"({"enabled": true, "maxInstalledPackages": 2, "requireIntegrity": true})");
  EXPECT_NE(WrongWith(settings, R"({"package_policy": {"max_installed_packages": 3}})"), "");
  EXPECT_NE(WrongWith(settings, R"({"package_policy": {"max_package_bytes": 67108865}})"), "");
  EXPECT_NE(WrongWith(settings, R"({"package_policy": {"require_integrity": false}})"), "");
}

TEST(SandboxRequestTest, MountsArePartOfTheServers) {
  Settings settings;
  settings.mounts = {{"/host/a", "/mnt/a", true}, {"/host/b", "/mnt/b", false}};
  const auto request =
      RequestSandbox(settings, Json::parse(R"({"mounts": ["/mnt/a"], "read_only_mounts": true})"));
  ASSERT_TRUE(request);
  ASSERT_EQ(request->mounts.size(), 1U);
  EXPECT_EQ(request->mounts[0].host, "/host/a");
  EXPECT_FALSE(request->mounts[0].is_writable);
  EXPECT_TRUE(RequestSandbox(settings, Json::object())->mounts[0].is_writable);
  EXPECT_NE(WrongWith(settings, R"({"mounts": ["/host/a"]})"), "");
}

TEST(SandboxRequestTest, SavingIsForTheOperatorToAllow) {
  Settings settings;
  const char* const asked = R"({"persistence": {"namespace": "n"}})";
  EXPECT_NE(WrongWith(settings, asked), "");
  EXPECT_FALSE(RequestDefaultSandbox(settings).create.contains("persistence"));
  settings.persistence_folder = "/states";
  EXPECT_EQ(CreateWith(settings, asked)["persistence"],
            Json({{"mode", "persistent"}, {"namespace", "n"}, {"autosaveMs", 1000}}));
  EXPECT_NE(WrongWith(settings, R"({"persistence": {"namespace": "n", "autosave_ms": 10}})"), "");
  settings.may_persist_by_itself = false;
  EXPECT_EQ(CreateWith(settings, asked)["persistence"]["mode"], "session");
  EXPECT_NE(WrongWith(settings, R"({"persistence": {"namespace": "n", "mode": "persistent"}})"),
            "");
  settings.default_namespace = "mine";
  EXPECT_EQ(RequestDefaultSandbox(settings).create["persistence"]["namespace"], "mine");
}

TEST(SandboxRequestTest, LimitsOfCommands) {
  Settings settings;
  settings.output_bytes = 2000;
  Json params = Json::object();
  EXPECT_EQ(TakeCommandLimits(settings, {{"timeout_ms", 5}, {"stdout_bytes", 2000}}, &params), "");
  EXPECT_EQ(params, Json({{"timeoutMs", 5}, {"stdoutBytes", 2000}}));
  EXPECT_NE(TakeCommandLimits(settings, {{"stderr_bytes", 2001}}, &params), "");
  EXPECT_NE(TakeCommandLimits(settings, {{"timeout_ms", 600'001}}, &params), "");
}

}  // namespace
}  // namespace cordon::mcp
