#ifndef CORDON_LIVE_STATE_CALLS_H_
#define CORDON_LIVE_STATE_CALLS_H_

// Trees of a live sandbox for clients: archives that come and go in pieces, export and import.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "backend/wasm/keeper.h"
#include "base/owned_fd.h"
#include "live/file_calls.h"
#include "live/frame.h"
#include "live/persistence.h"

namespace cordon::live {

[[nodiscard]] inline bool IsStateCall(Kind kind) {
  return kind >= Kind::kBlobWrite && kind <= Kind::kClearState;
}

class StateCalls {
 public:
  StateCalls(backend::Keeper& keeper, const backend::SandboxOptions& options)
      : keeper_(keeper), options_(options) {}

  [[nodiscard]] FileAnswer Answer(const Frame& frame);
  // kBlobGive, kBlobTake and kExportFile; `files` is the connection that descriptors go over.
  [[nodiscard]] FileAnswer AnswerWithFile(const Frame& frame, int files);
  // From now on the sandbox can be saved there, and nobody else can.
  [[nodiscard]] Status OpenFolder(const std::string& folder);
  // Archives that wait, and the folder: they are another's.
  void Forget();

 private:
  // In memory of the host, of at most as many bytes as the sandbox may have, and a little.
  struct Blob {
    OwnedFd fd;
    uint64_t size = 0;
  };
  [[nodiscard]] uint64_t BytesLeft() const;
  [[nodiscard]] Result<int64_t> NewBlob();
  [[nodiscard]] Result<Blob*> Find(int64_t id);
  // Sealed. Whatever becomes of what is in it, it is gone.
  [[nodiscard]] Result<Blob> Take(int64_t id);

  [[nodiscard]] FileAnswer Give(OwnedFd given);
  [[nodiscard]] FileAnswer TakeOut(int64_t id, int files);
  [[nodiscard]] FileAnswer ExportTo(const OwnedFd& file, const std::string& config);
  [[nodiscard]] FileAnswer Write(const Frame& frame);
  [[nodiscard]] FileAnswer Read(const Frame& frame);
  [[nodiscard]] FileAnswer Pack(const Frame& frame);
  [[nodiscard]] FileAnswer Unpack(const Frame& frame);
  [[nodiscard]] FileAnswer Import(const Frame& frame);
  [[nodiscard]] FileAnswer AnswerAboutFolder(const Frame& frame);

  backend::Keeper& keeper_;
  const backend::SandboxOptions& options_;
  std::unique_ptr<Persistence> persistence_;
  std::map<int64_t, Blob> blobs_;
  int64_t last_id_ = 0;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_STATE_CALLS_H_
