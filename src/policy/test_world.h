#ifndef CORDON_POLICY_TEST_WORLD_H_
#define CORDON_POLICY_TEST_WORLD_H_

// A home, a project and a caller, in a directory that goes with the test.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "policy/resolve.h"
#include "policy/surroundings.h"

namespace cordon::policy {

class TestWorld {
 public:
  TestWorld() {
    char name[] = "/tmp/cordon-policy-XXXXXX";
    root_ = mkdtemp(name);
    around.home = root_ + "/home";
    around.config_home = around.home + "/.config/cordon";
    around.cache_home = around.home + "/.cache/cordon";
    around.directory = project = root_ + "/project";
    around.environment = {{"PATH", root_ + "/tools/bin:/usr/bin:/bin"}, {"HOME", around.home}};
    around.uid = getuid();
    around.gid = getgid();
    std::filesystem::create_directories(around.config_home);
    std::filesystem::create_directories(project);
    for (const char* program : {"npm", "yarn", "pnpm", "pip", "uv", "poetry", "cargo", "go",
                                "composer", "bundle", "make"}) {
      Write(root_ + "/tools/bin/" + program, "#!/bin/sh\n");
      (void)chmod((root_ + "/tools/bin/" + program).c_str(), 0755);
    }
  }
  TestWorld(const TestWorld&) = delete;
  TestWorld& operator=(const TestWorld&) = delete;
  ~TestWorld() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  static void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  void InProject(const std::string& path, const std::string& text) const {
    Write(project + "/" + path, text);
  }
  void InHome(const std::string& path, const std::string& text) const {
    Write(around.home + "/" + path, text);
  }
  void UserPolicy(const std::string& text) const {
    Write(around.config_home + "/policy.yaml", text);
  }

  [[nodiscard]] Planned Make(std::vector<std::string> argv) const {
    PlanRequest request;
    request.argv = std::move(argv);
    return MakePlan(request, around);
  }
  // As `cordon trust --yes` does.
  void ApproveAll(const std::vector<std::string>& argv) const {
    const Planned planned = Make(argv);
    TrustStore store = TrustStore::Load(around).value();
    for (const Approval& approval : planned.needed) store.Approve(approval);
    if (!store.Save()) abort();
  }
  [[nodiscard]] const std::string& root() const { return root_; }

  Surroundings around;
  std::string project;

 private:
  std::string root_;
};

inline const Mount* FindMount(const Plan& plan, const std::string& target) {
  const Mount* found = nullptr;
  for (const Mount& mount : plan.mounts) {
    if (mount.target == target) found = &mount;
  }
  return found;
}

inline std::vector<std::string> AllowedHosts(const Plan& plan) {
  std::vector<std::string> hosts;
  hosts.reserve(plan.network.allow.size());
  for (const HostGrant& grant : plan.network.allow) hosts.push_back(grant.rule.ToString());
  return hosts;
}

inline std::string Refusals(const Plan& plan) {
  std::string text;
  for (const Error& error : plan.refusals) text += error.ToString() + "\n";
  return text;
}

inline std::string WithheldText(const Plan& plan) {
  std::string text;
  for (const Withheld& withheld : plan.withheld) text += withheld.what + "\n";
  return text;
}

}  // namespace cordon::policy

#endif  // CORDON_POLICY_TEST_WORLD_H_
