// Directories of the host, the first argument's, and files in memory, in a sandbox.

#include <fstream>
#include <sstream>
#include <string>

#include "check.h"

namespace {

std::string ContentsOf(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

int main(int, char** words) {
  const std::string host = words[1];
  std::ofstream(host + "/f") << "of the host\n";
  const std::string large(9'000'000, 'm');
  cordon::Client client = Must(cordon::Client::Start());
  cordon::CreateOptions options;
  options.mounts = {
      {"/mnt/host", cordon::HostDirectory{host}},
      {"/mnt/out", cordon::HostDirectory{.path = host, .writable = true}},
      {"/mnt/tools",
       cordon::MemoryFiles{{{"bin/hi", "echo hi\n"}, {"large", large}, {"none", ""}}}},
      {"/mnt/own",
       cordon::MemoryFiles{.files = {{"a/b", "1"}, {"large", large}}, .writable = true}},
  };
  cordon::Sandbox sandbox = Must(client.Create(options));
  CHECK(Must(sandbox.ReadFile("/mnt/host/f")) == "of the host\n");
  const auto refused = Must(sandbox.Run("echo x >/mnt/host/f"));
  CHECK(refused.exit_code != 0 && refused.err.find("Read-only") != std::string::npos);
  CHECK(Must(sandbox.Run("echo back >/mnt/out/g; ls /mnt/host")).out == "f\ng\n");
  CHECK(ContentsOf(host + "/g") == "back\n");

  CHECK(
      Must(sandbox.Run("sh /mnt/tools/bin/hi; wc -c </mnt/tools/large; cat /mnt/tools/none")).out ==
      "hi\n9000000\n");
  CHECK(Must(sandbox.ReadFile("/mnt/tools/large")) == large);
  CHECK(Must(sandbox.Run("echo x >>/mnt/tools/bin/hi")).exit_code != 0);
  CHECK(!sandbox.WriteFile("/mnt/tools/new", "x"));
  CHECK(Must(sandbox.Run("echo 2 >>/mnt/own/a/b; cat /mnt/own/a/b; wc -c </mnt/own/large")).out ==
        "12\n9000000\n");

  Must(sandbox.MakeDirectory("/mnt/later"));
  Must(sandbox.WriteFile("/mnt/later/own", "before"));
  Must(sandbox.Mount("/mnt/later", cordon::MemoryFiles{{{"x", "mounted"}}}));
  CHECK(Must(sandbox.ReadFile("/mnt/later/x")) == "mounted");
  cordon::Sandbox fork = Must(sandbox.Fork());
  Must(sandbox.Unmount("/mnt/later"));
  CHECK(Must(sandbox.ReadFile("/mnt/later/own")) == "before");
  CHECK(Must(fork.ReadFile("/mnt/later/x")) == "mounted");

  // Who cannot have what was asked for has no sandbox.
  options.mounts = {{"/mnt/x", cordon::HostDirectory{host + "/missing"}}};
  const auto missing = client.Create(options);
  CHECK(!missing && missing.error().system_errno == ENOENT);
  options.mounts = {{"/mnt/x", cordon::HostDirectory{"relative"}}};
  CHECK(!client.Create(options));
  options.mounts = {{"/mnt/x", cordon::ServedFiles{}}};
  CHECK(!client.Create(options));
  CHECK(Must(client.List()).size() == 2);
  (void)puts("all of it");
}
