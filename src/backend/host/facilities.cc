#include "backend/host/facilities.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string_view>

#include "backend/host/program.h"
#include "base/owned_fd.h"

namespace cordon::backend {
namespace {

constexpr std::chrono::seconds kPatience{5};

Facility Missing(const char* name, const std::string& call) {
  return {name, false, SystemError(call).error().ToString()};
}

// --- namespaces: each is entered and used by a child that ends at once ---

bool UsePid() {
  const pid_t pid = fork();
  if (pid == 0) _exit(getpid() == 1 ? 0 : EINVAL);
  int status = 0;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
// Rights over the namespace are what distributions take away while they leave its making allowed.
bool UseMount() {
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}
bool UseNet() {
  const OwnedFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  return socket_fd.valid() && ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) == 0;
}
bool UseUts() {
  return sethostname("cordon", 6) == 0;
}
bool UseNothing() {
  return true;
}

struct Namespace {
  const char* name;
  const char* flag_name;
  int flag;
  bool (*use)();
};
constexpr Namespace kNamespaces[] = {
    {"user namespace", "CLONE_NEWUSER", CLONE_NEWUSER, UseNothing},
    {"pid namespace", "CLONE_NEWPID", CLONE_NEWPID, UsePid},
    {"mount namespace", "CLONE_NEWNS", CLONE_NEWNS, UseMount},
    {"net namespace", "CLONE_NEWNET", CLONE_NEWNET, UseNet},
    {"ipc namespace", "CLONE_NEWIPC", CLONE_NEWIPC, UseNothing},
    {"uts namespace", "CLONE_NEWUTS", CLONE_NEWUTS, UseUts},
    {"cgroup namespace", "CLONE_NEWCGROUP", CLONE_NEWCGROUP, UseNothing},
};

// 0, or the reason as an error number.
int TryNamespace(const Namespace& space, int flags) {
  const pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    errno = 0;
    if (unshare(flags) == 0 && space.use()) _exit(0);
    _exit(errno != 0 ? errno : EPERM);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

Facility ProbeNamespace(const Namespace& space) {
  if (TryNamespace(space, space.flag) == 0) return {space.name, true, {}};
  // Who is not root gets the right in a user namespace of his own.
  const int error = TryNamespace(space, space.flag | CLONE_NEWUSER);
  if (error == 0) return {space.name, true, "in a user namespace"};
  errno = error;
  return Missing(space.name, std::string("unshare(") + space.flag_name + ")");
}

// --- filters ---

Facility ProbeSeccomp() {
  const uint32_t kill_process = SECCOMP_RET_KILL_PROCESS;
  if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_process) != 0) {
    return Missing("seccomp", "seccomp(SECCOMP_RET_KILL_PROCESS)");
  }
  const uint32_t notify = SECCOMP_RET_USER_NOTIF;
  const bool notifies = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &notify) == 0;
  return {"seccomp", true, notifies ? "with notification" : "without notification"};
}

Facility ProbeLandlock() {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return Missing("landlock", "landlock_create_ruleset");
  return {"landlock", true, "ABI " + std::to_string(abi)};
}

// --- cgroups ---

std::string ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The folder of this process's group in the unified hierarchy; empty if there is none.
std::string OwnGroup() {
  std::string own;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::/")) own = line.substr(3);
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; !own.empty() && std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string ignored;
    std::string root;
    std::string point;
    fields >> ignored >> ignored >> ignored >> root >> point;
    if (root == "/") return point + (own == "/" ? "" : own);
    if (own.starts_with(root)) return point + own.substr(root.size());
  }
  return {};
}

Facility ProbeCgroup() {
  constexpr const char* kName = "cgroup v2";
  const std::string group = OwnGroup();
  if (group.empty()) return {kName, false, "no unified hierarchy is mounted"};
  const std::string controllers = ReadLine(group + "/cgroup.controllers");
  const std::string child = group + "/cordon-doctor-" + std::to_string(getpid());
  if (mkdir(child.c_str(), 0700) != 0) return Missing(kName, "mkdir(" + child + ")");
  (void)rmdir(child.c_str());
  const bool limits = controllers.find("memory") != std::string::npos &&
                      controllers.find("pids") != std::string::npos;
  return {kName, limits,
          "may make groups; controllers: " + (controllers.empty() ? "none" : controllers)};
}

// --- machines and programs ---

Facility ProbeKvm() {
  const OwnedFd device(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return Missing("kvm", "open(/dev/kvm)");
  if (ioctl(device.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    return Missing("kvm", "ioctl(KVM_GET_API_VERSION)");
  }
  const OwnedFd machine(ioctl(device.get(), KVM_CREATE_VM, 0));
  if (!machine.valid()) return Missing("kvm", "ioctl(KVM_CREATE_VM)");
  return {"kvm", true, {}};
}

struct Program {
  const char* name;
  std::vector<std::string> arguments;  // that prove that it works
};

Facility ProbeProgram(const Program& program) {
  const std::string path = FindInPath(program.name);
  if (path.empty()) return {program.name, false, "not installed"};
  std::vector<std::string> command = {path};
  command.insert(command.end(), program.arguments.begin(), program.arguments.end());
  const Result<std::string> output = RunProgram(command, kPatience);
  if (!output) return {program.name, false, output.error().ToString()};
  const std::string line = FirstLine(*output);
  return {program.name, true, line.empty() ? path : line};
}

Facility ProbeKernel() {
  utsname name = {};
  if (uname(&name) != 0) return Missing("kernel", "uname");
  return {"kernel", true, std::string(name.sysname) + " " + name.release + " " + name.machine};
}

struct Probe {
  const char* name;
  Facility (*try_it)();
};
constexpr Probe kProbes[] = {{"seccomp", ProbeSeccomp},
                             {"landlock", ProbeLandlock},
                             {"cgroup v2", ProbeCgroup},
                             {"kvm", ProbeKvm}};

void ProbeWhere(const std::function<bool(std::string_view)>& is_wanted,
                std::vector<Facility>* facilities) {
  if (is_wanted("kernel")) facilities->push_back(ProbeKernel());
  for (const Namespace& space : kNamespaces) {
    if (is_wanted(space.name)) facilities->push_back(ProbeNamespace(space));
  }
  for (const Probe& probe : kProbes) {
    if (is_wanted(probe.name)) facilities->push_back(probe.try_it());
  }
  const Program programs[] = {
      {"qemu-system-x86_64", {"--version"}},
      // The engine itself is asked, not its command line.
      {"podman", {"version", "--format", "{{.Client.Version}}"}},
      {"docker", {"version", "--format", "{{.Server.Version}}"}},
      {"bwrap", {"--unshare-all", "--ro-bind", "/", "/", "true"}},
      {"nsjail", {"--help"}},
  };
  for (const Program& program : programs) {
    if (is_wanted(program.name)) facilities->push_back(ProbeProgram(program));
  }
}

}  // namespace

std::vector<Facility> ProbeHost() {
  std::vector<Facility> facilities;
  ProbeWhere([](std::string_view) { return true; }, &facilities);
  return facilities;
}

std::vector<Facility> ProbeHost(const std::vector<std::string>& names) {
  std::vector<Facility> facilities;
  ProbeWhere([&](std::string_view name) { return std::ranges::find(names, name) != names.end(); },
             &facilities);
  return facilities;
}

}  // namespace cordon::backend
