// cordon-shadow-enter ID COMMAND…: runs a host command in the view of a shadow, in namespaces of
// its own, as a wall does. For tests: it isolates nothing else.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "policy/surroundings.h"
#include "shadow/store.h"
#include "shadow/view.h"

namespace {

constexpr int kFailed = 125;

int Complain(const std::string& what) {
  (void)fprintf(stderr, "cordon-shadow-enter: %s\n", what.c_str());
  return kFailed;
}

bool Write(const char* path, const std::string& text) {
  const cordon::OwnedFd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd.valid() && write(fd.get(), text.data(), text.size()) == std::ssize(text);
}

int Run(const cordon::shadow::View& view, char** command) {
  const std::string user = std::to_string(geteuid());
  const std::string group = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Complain("unshare");
  (void)Write("/proc/self/setgroups", "deny");
  if (!Write("/proc/self/uid_map", user + " " + user + " 1") ||
      !Write("/proc/self/gid_map", group + " " + group + " 1")) {
    return Complain("uid_map");
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Complain("mount");
  const cordon::Result<cordon::OwnedFd> made = view.MakeMount();
  if (!made) return Complain(made.error().ToString());
  const char* place = view.info().workspace.c_str();
  if (move_mount(made->get(), "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Complain("move_mount");
  if (chdir(place) != 0) return Complain("chdir");
  (void)execvp(command[0], command);
  return Complain("execvp");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return Complain("ID COMMAND…");
  const auto around = cordon::policy::Surroundings::OfThisProcess();
  const auto store = cordon::shadow::Store::Open(around);
  if (!store) return Complain(store.error().ToString());
  const auto view = cordon::shadow::View::Open(*store, argv[1]);
  if (!view) return Complain(view.error().ToString());
  const pid_t pid = fork();
  if (pid == 0) _exit(Run(*view, argv + 2));
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return Complain("fork");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
