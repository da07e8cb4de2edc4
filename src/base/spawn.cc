#include "base/spawn.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace cordon {

Spawn::Spawn() {
  // These, and what is added to them, fail only without memory (glibc's manual).
  (void)posix_spawn_file_actions_init(&actions_);
  (void)posix_spawnattr_init(&attributes_);
}

Spawn::~Spawn() {
  (void)posix_spawn_file_actions_destroy(&actions_);
  (void)posix_spawnattr_destroy(&attributes_);
}

Status Spawn::Give(int fd, int number) {
  // Above every number that is given: dup2 in a row would overwrite one that is still needed.
  constexpr int kFirstFree = 16;
  OwnedFd moved(fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  (void)posix_spawn_file_actions_adddup2(&actions_, moved.get(), number);
  given_.push_back(std::move(moved));
  return {};
}

void Spawn::GiveNull(int number) {
  (void)posix_spawn_file_actions_addopen(&actions_, number, "/dev/null", O_RDWR, 0);
}

void Spawn::CloseFrom(int number) {
  (void)posix_spawn_file_actions_addclosefrom_np(&actions_, number);
}

void Spawn::StartIn(const std::string& directory) {
  (void)posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
}

void Spawn::ResetSignals(Defaults defaults) {
  sigset_t signals;
  (void)sigemptyset(&signals);
  (void)posix_spawnattr_setsigmask(&attributes_, &signals);
  (void)(defaults == Defaults::kAll ? sigfillset(&signals) : sigaddset(&signals, SIGPIPE));
  (void)posix_spawnattr_setsigdefault(&attributes_, &signals);
  flags_ |= POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
}

Result<pid_t> Spawn::Start(const std::string& program, const std::vector<std::string>& words,
                           Environment environment) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  // Nobody writes to them.
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  char* nothing[] = {nullptr};
  (void)posix_spawnattr_setflags(&attributes_, static_cast<int16_t>(flags_));
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &actions_, &attributes_, arguments.data(),
                                 environment == Environment::kOurs ? environ : nothing);
  if (error != 0) return SystemError("posix_spawn(" + program + ")", error);
  return pid;
}

}  // namespace cordon
