#include "backend/native/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace cordon::backend::native {
namespace {

constexpr int kFirstOfRealTime = 32;

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Started Start(const Program& program) {
  sigset_t none;
  sigset_t common;
  sigemptyset(&none);
  sigemptyset(&common);
  for (int number = 1; number < kFirstOfRealTime; ++number) sigaddset(&common, number);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const bool is_leader = program.session == Session::kOwn || !program.terminal.empty();
  const int own = is_leader ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
  posix_spawnattr_setflags(
      &attributes, static_cast<int16_t>(own | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &common);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (!program.terminal.empty()) {
    // The first terminal that the leader of a session opens is the session's.
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, program.terminal.c_str(), O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
    if (!program.has_error_stream) {
      posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
    }
  }
  Started started;
  started.error =
      posix_spawn(&started.pid, program.path.c_str(), &files, &attributes,
                  Pointers(program.arguments).data(), Pointers(program.variables).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return started;
}

std::string FindIn(const std::string& search_path, const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (size_t begin = 0; begin <= search_path.size();) {
    const size_t end = std::min(search_path.find(':', begin), search_path.size());
    const std::string path = search_path.substr(begin, end - begin) + "/" + name;
    if (path.front() == '/' && path.size() > name.size() + 1 && access(path.c_str(), X_OK) == 0) {
      return path;
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace cordon::backend::native
