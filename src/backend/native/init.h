#ifndef CORDON_BACKEND_NATIVE_INIT_H_
#define CORDON_BACKEND_NATIVE_INIT_H_

// The first process of the sandbox: builds the wall around itself, starts the command behind it,
// hands signals on and reaps. With it everything ends.

#include <sys/types.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/native/control_groups.h"
#include "backend/native/namespaces.h"
#include "backend/native/prepared_root.h"
#include "backend/native/program.h"
#include "backend/native/rights.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Shared between the keeper and the init; written by the init before the command exists.
struct Progress {
  std::atomic<bool> started;
  int failed_errno;
  int failed_code;                       // ErrorCode
  int start_errno;                       // of the command's execution; 0 if it runs
  std::atomic<uint64_t> segments_bytes;  // shared memory of System V, where nobody else counts
  std::atomic<bool> ended;
  int ended_code;          // of the command, once it has ended
  char failed_text[1024];  // empty if everything worked
  char before_text[512];   // of what was to run before the command and failed
};

// Whose terminal the command is on: one of its own, or none.
enum class TerminalOf { kNobody, kCommand };

struct InitRequest {
  const policy::Plan& plan;
  const ControlGroups& groups;
  Progress* progress;
  Alone alone;
  Session session;
  TerminalOf terminal;
  uid_t outer_uid;
  gid_t outer_gid;
  int output;  // becomes descriptor 1 and 2; -1 leaves what is there
  int error_output;
  int hand_over;  // -1 if nothing is
  Network network;
  bool waits;   // until it is let go (hand_over.h), in its namespaces
  int gateway;  // where the network's sockets go; -1 if the plan has none
  int keeper;   // its pidfd
  const std::vector<OwnedFd>& secrets;
  std::string work_folder;  // for overlays; empty if the plan needs none
  const std::function<Result<OwnedFd>()>& workspace_view;  // of a shadow
  const PreparedRoot* prepared;                            // null: the root is made in memory
};

[[nodiscard]] sigset_t ForwardedSignals();

[[noreturn]] void RunInit(const InitRequest& request);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_INIT_H_
