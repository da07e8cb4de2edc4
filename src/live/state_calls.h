#ifndef CORDON_LIVE_STATE_CALLS_H_
#define CORDON_LIVE_STATE_CALLS_H_

// Trees of a live sandbox for clients: archives that come and go in pieces, export and import.

#include <cstdint>
#include <map>
#include <string>

#include "backend/wasm/keeper.h"
#include "base/owned_fd.h"
#include "live/file_calls.h"
#include "live/frame.h"

namespace cordon::live {

[[nodiscard]] inline bool IsStateCall(Kind kind) {
  return kind >= Kind::kBlobWrite && kind <= Kind::kImportImage;
}

class StateCalls {
 public:
  StateCalls(backend::Keeper& keeper, const backend::SandboxOptions& options)
      : keeper_(keeper), options_(options) {}

  [[nodiscard]] FileAnswer Answer(const Frame& frame);
  // All archives that wait.
  void Forget() { blobs_.clear(); }

 private:
  // In memory of the host, of at most as many bytes as the sandbox may have, and a little.
  struct Blob {
    OwnedFd fd;
    uint64_t size = 0;
  };
  [[nodiscard]] uint64_t BytesLeft() const;
  [[nodiscard]] Result<int64_t> NewBlob();
  [[nodiscard]] Result<Blob*> Find(int64_t id);
  // Whatever becomes of what is in it, it is gone.
  [[nodiscard]] Result<Blob> Take(int64_t id);

  [[nodiscard]] FileAnswer Write(const Frame& frame);
  [[nodiscard]] FileAnswer Read(const Frame& frame);
  [[nodiscard]] FileAnswer Pack(const Frame& frame);
  [[nodiscard]] FileAnswer Unpack(const Frame& frame);
  [[nodiscard]] FileAnswer Import(const Frame& frame);

  backend::Keeper& keeper_;
  const backend::SandboxOptions& options_;
  std::map<int64_t, Blob> blobs_;
  int64_t last_id_ = 0;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_STATE_CALLS_H_
