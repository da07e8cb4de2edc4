// behind_gateway GATEWAY LOG RULE… -- COMMAND…: runs a command in a network namespace behind a
// gateway, as a wall would, and nothing else of a wall. A rule is one of a policy, after "private="
// if what it names may be private, "all", or max-flows=N. Prints the summary.

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "net/gateway.h"
#include "net/namespace_setup.h"

namespace {

using cordon::OwnedFd;
using cordon::Status;

constexpr int kFailure = 125;

int Complain(const cordon::Error& error) {
  (void)fprintf(stderr, "behind_gateway: %s\n", error.ToString().c_str());
  return kFailure;
}

bool WriteText(const char* path, const std::string& text) {
  const OwnedFd file(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// In a mount namespace of its own.
Status ShowResolver() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return cordon::SystemError("mount(MS_PRIVATE)");
  }
  const std::string path = "/tmp/behind-gateway-" + std::to_string(getpid());
  if (!WriteText(path.c_str(), cordon::net::kResolverFile)) return cordon::SystemError("write");
  const int result = mount(path.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr);
  (void)unlink(path.c_str());
  if (result != 0) return cordon::SystemError("mount(resolv.conf)");
  return {};
}

Status DropCapabilities() {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    (void)prctl(PR_CAPBSET_DROP, capability);
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return cordon::SystemError("capset");
  return {};
}

Status Enter(const cordon::net::Gateway& gateway) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) {
    return cordon::SystemError("unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)");
  }
  if (!WriteText("/proc/self/setgroups", "deny") ||
      !WriteText("/proc/self/uid_map", "1000 " + std::to_string(uid) + " 1") ||
      !WriteText("/proc/self/gid_map", "1000 " + std::to_string(gid) + " 1")) {
    return cordon::SystemError("write(uid_map)");
  }
  const auto sockets = cordon::net::SetUpNamespace();
  if (!sockets) return std::unexpected(sockets.error());
  CORDON_TRY(cordon::net::SendSockets(gateway.namespace_channel(), *sockets));
  CORDON_TRY(ShowResolver());
  return DropCapabilities();
}

int Inside(const cordon::net::Gateway& gateway, char** command) {
  if (const Status entered = Enter(gateway); !entered) return Complain(entered.error());
  execvp(command[0], command);
  perror(command[0]);
  return kFailure;
}

bool ReadRule(std::string_view text, cordon::policy::NetworkPlan* plan) {
  if (text == "all") {
    plan->mode = cordon::policy::NetworkMode::kAll;
    return true;
  }
  constexpr std::string_view kPrivate = "private=";
  const bool may_be_private = text.starts_with(kPrivate);
  if (may_be_private) text.remove_prefix(kPrivate.size());
  const auto rule = cordon::policy::ParseHostRule(text);
  if (!rule) return false;
  plan->allow.push_back({*rule, may_be_private, cordon::policy::Origin::kUser, "test"});
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return kFailure;
  cordon::policy::NetworkPlan plan;
  plan.mode = cordon::policy::NetworkMode::kList;
  size_t max_flows = 0;
  int at = 3;
  for (; at < argc && strcmp(argv[at], "--") != 0; ++at) {
    constexpr std::string_view kMaxFlows = "max-flows=";
    if (std::string_view(argv[at]).starts_with(kMaxFlows)) {
      max_flows = strtoul(argv[at] + kMaxFlows.size(), nullptr, 10);
    } else if (!ReadRule(argv[at], &plan)) {
      (void)fprintf(stderr, "behind_gateway: no rule: %s\n", argv[at]);
      return kFailure;
    }
  }
  if (at + 1 >= argc) return kFailure;
  cordon::net::GatewayRequest request = {argv[1], cordon::net::ConfigFor(plan), argv[2]};
  if (max_flows != 0) request.config.max_flows = max_flows;
  auto gateway = cordon::net::Gateway::Start(request);
  if (!gateway) return Complain(gateway.error());
  const pid_t child = fork();
  if (child == 0) _exit(Inside(*gateway, argv + at + 1));
  gateway->CloseNamespaceChannel();
  int status = 0;
  (void)waitpid(child, &status, 0);
  const auto summary = gateway->Finish();
  if (!summary) return Complain(summary.error());
  (void)fprintf(stderr, "behind_gateway: %s\n", summary->ToString().c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
