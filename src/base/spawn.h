#ifndef CORDON_BASE_SPAWN_H_
#define CORDON_BASE_SPAWN_H_

#include <spawn.h>
#include <csignal>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon {

// The start of a program (posix_spawn(3)), and what it gets. What was given is held until this
// ends: a pipe whose end is waited for must not be.
class Spawn {
 public:
  enum class Environment { kEmpty, kOurs };
  // Which signals do what they do by default.
  enum class Defaults { kPipe, kAll };

  Spawn();
  ~Spawn();
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  // In the program `fd` is `number`, which is below 16; in any order. `fd` stays the caller's.
  [[nodiscard]] Status Give(int fd, int number);
  // /dev/null, to be read and written.
  void GiveNull(int number);
  // It has none from this number on, whatever this process has.
  void CloseFrom(int number);
  void StartIn(const std::string& directory);
  void LeadGroup() { flags_ |= POSIX_SPAWN_SETPGROUP; }
  void LeadSession() { flags_ |= POSIX_SPAWN_SETSID; }
  // None is blocked, whatever this thread blocks.
  void ResetSignals(Defaults defaults);

  // The first word is its name for itself. A program without a slash is looked for in PATH.
  [[nodiscard]] Result<pid_t> Start(const std::string& program,
                                    const std::vector<std::string>& words,
                                    Environment environment = Environment::kEmpty);

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  int flags_ = 0;
  std::vector<OwnedFd> given_;
};

}  // namespace cordon

#endif  // CORDON_BASE_SPAWN_H_
