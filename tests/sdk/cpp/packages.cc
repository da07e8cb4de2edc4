// Packages, from the server whose host and port are the first argument.

#include <algorithm>
#include <string>
#include <vector>

#include "check.h"

int main(int, char** words) {
  const std::string host = words[1];
  const std::string base = "https://" + host;
  cordon::Client client = Must(cordon::Client::Start());
  std::vector<std::string> events;
  cordon::CreateOptions options;
  options.on_audit_event = [&](const cordon::AuditEvent& event) {
    if (event.type.starts_with("package.")) {
      events.push_back(event.type + " " + event.package_source + " " + event.code);
    }
  };
  options.packages = {
      .allowed_hosts = {host}, .allow_private_hosts = true, .index = base + "/pkg-index.json"};
  cordon::Sandbox sandbox = Must(client.Create(options));

  std::vector<std::string> lines;
  const cordon::PackageInfo hello = Must(sandbox.InstallPackage(
      base + "/hello.wasm",
      {.name = "hi", .on_progress = [&](const std::string& line) { lines.push_back(line); }}));
  CHECK(hello.name == "hi" && hello.size_bytes > 0 && hello.sha256.size() == 64);
  CHECK(hello.url == base + "/hello.wasm" && hello.installed_ms > 0 && !lines.empty());
  CHECK(Must(sandbox.Run("hi")).out == "hi\n");
  CHECK(Must(sandbox.InstallPackage("other")).sha256 == Must(sandbox.GetPackage("other")).sha256);
  CHECK(Must(sandbox.ListPackages()).size() == 2);
  const auto found = Must(sandbox.SearchPackages("oth"));
  CHECK(found.size() == 1 && found[0].name == "other" && found[0].description == "says other");
  CHECK(Must(sandbox.SearchPackages()).size() == 2);
  CHECK(!Must(sandbox.UpdatePackage("other")).second);

  const auto wrong =
      sandbox.InstallPackage(base + "/hello.wasm", {.name = "x", .sha256 = std::string(64, '0')});
  CHECK(!wrong && wrong.error().place == "E_PKG_INTEGRITY");
  const auto elsewhere = sandbox.InstallPackage("https://example.com/a.wasm");
  CHECK(!elsewhere && elsewhere.error().place == "E_PKG_HOST_DENIED");
  std::stop_source stop;
  const auto stopped = sandbox.InstallPackage(
      base + "/stalled.wasm", {.name = "y",
                               .on_progress = [&](const std::string&) { stop.request_stop(); },
                               .stop = stop.get_token()});
  CHECK(!stopped && stopped.error().place == "E_PKG_CANCELLED");
  CHECK(std::ranges::count(events, "package.install.complete other ") == 1);
  CHECK(std::ranges::count(events,
                           "package.install.denied https://example.com/a.wasm "
                           "E_PKG_HOST_DENIED") == 1);

  Must(sandbox.RemovePackage("hi"));
  CHECK(sandbox.GetPackage("hi").error().place == "E_PKG_NOT_FOUND");
  CHECK(Must(sandbox.Run("hi")).exit_code == 127);
  cordon::Sandbox none = Must(client.Create());
  CHECK(none.InstallPackage("hello").error().place == "E_PKG_DISABLED");
  (void)puts("all of it");
}
