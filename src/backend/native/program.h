#ifndef CORDON_BACKEND_NATIVE_PROGRAM_H_
#define CORDON_BACKEND_NATIVE_PROGRAM_H_

// Programs that the first process of the sandbox starts behind the wall.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::backend::native {

// Of a program: its own if the caller has a terminal, which a command of his session could open.
enum class Session { kOwn, kCallers };

struct Program {
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> variables;  // NAME=VALUE
  Session session = Session::kOwn;
  std::string terminal;  // if not empty, opened as the session's terminal and standard streams
  bool has_error_stream = false;  // of the caller, beside that terminal
};

// Of a new process, which leads a process group; or 0, and the number of the error.
struct Started {
  pid_t pid = 0;
  int error = 0;
};
[[nodiscard]] Started Start(const Program& program);

// The path of a program named `name`, as a shell finds it; empty if there is none.
[[nodiscard]] std::string FindIn(const std::string& search_path, const std::string& name);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_PROGRAM_H_
