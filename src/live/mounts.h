#ifndef CORDON_LIVE_MOUNTS_H_
#define CORDON_LIVE_MOUNTS_H_

// What a client mounts in a live sandbox: directories of the host and file systems of its own,
// which a file server has, and files in memory that nobody in the sandbox can change. Those are
// files of the sandbox, in a folder that its user cannot enter, and are shown elsewhere; so they
// are in its forks and snapshots as all of its files are.

#include <cstdint>
#include <map>
#include <string>

#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"
#include "backend/wasm/tree_calls.h"
#include "live/file_calls.h"
#include "live/file_server.h"
#include "live/frame.h"

namespace cordon::live {

// Where files lie that are shown elsewhere. What is below /run is in no state that is taken
// elsewhere, and /run is the superuser's.
inline constexpr const char* kStages = "/run/cordon-mounts";

[[nodiscard]] inline bool IsMountCall(Kind kind) {
  return kind >= Kind::kMountDirectory && kind <= Kind::kUnmount;
}

class Mounts {
 public:
  explicit Mounts(backend::Keeper& keeper)
      : mailbox_(keeper), trees_(keeper), server_(keeper.page()) {}

  [[nodiscard]] FileAnswer Answer(const Frame& frame);
  [[nodiscard]] FileServer& server() { return server_; }

 private:
  [[nodiscard]] FileAnswer MountDirectory(const Frame& frame);
  [[nodiscard]] FileAnswer MountClient(const Frame& frame);
  [[nodiscard]] FileAnswer MountServed(const std::string& path, const Result<uint32_t>& index,
                                       uint32_t flags);
  [[nodiscard]] FileAnswer StageFile(const Frame& frame);
  [[nodiscard]] Status MakeStage(const std::string& path);
  [[nodiscard]] FileAnswer MountStage(const Frame& frame);
  [[nodiscard]] FileAnswer Unmount(const std::string& path);

  backend::Mailbox mailbox_;
  backend::TreeCalls trees_;
  FileServer server_;
  std::map<std::string, uint32_t> served_;    // by where they are mounted
  std::map<std::string, std::string> shown_;  // where, and the stage
  int64_t last_stage_ = 0;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_MOUNTS_H_
