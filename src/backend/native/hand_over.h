#ifndef CORDON_BACKEND_NATIVE_HAND_OVER_H_
#define CORDON_BACKEND_NATIVE_HAND_OVER_H_

// What the first process of a sandbox makes inside and the keeper uses outside: descriptors through
// a socket, sent before the command exists.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

enum class Handed : char {
  kStagedFolder = 's',
  kTerminal = 't',  // the keeper's end
};

struct HandOver {
  OwnedFd keeper;
  OwnedFd init;
  [[nodiscard]] static Result<HandOver> Make();
};

[[nodiscard]] Status Send(int socket, Handed what, int fd);
struct Received {
  Handed what = Handed::kStagedFolder;
  OwnedFd fd;
};
// Does not wait: nothing if there is none.
[[nodiscard]] std::optional<Received> Receive(int socket);

// The other way, once: the keeper has done in the sandbox's namespaces what must be done first.
[[nodiscard]] Status LetGo(int socket);
[[nodiscard]] Status WaitForLetGo(int socket);

// Files that the command made in the folder, whatever they are, to where they belong: only regular
// ones, never over something that is there. After the last process inside has gone. Says what was
// left out, a line each.
[[nodiscard]] std::vector<std::string> TakeStagedFiles(const policy::Plan& plan, int folder);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_HAND_OVER_H_
