// Methods about files that are not the sandbox's own.

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/call.h"
#include "rpc/extension_params.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;
using SandboxPtr = std::shared_ptr<Sandbox>;
using Files = std::vector<std::pair<std::string, std::string>>;

// Requests of one method, and its answer, which is the last one's.
class Sequence : public std::enable_shared_from_this<Sequence> {
 public:
  Sequence(CallPtr call, SandboxPtr sandbox)
      : call_(std::move(call)), sandbox_(std::move(sandbox)) {}

  void Add(Frame frame) { frames_.push_back(std::move(frame)); }
  // The first one's result is the first argument of all others.
  void HandOnResult() { hands_on_ = true; }
  void Run() { Next(0); }

 private:
  void Next(size_t at) {
    if (at == frames_.size()) return call_->Reply(Json::object());
    Frame frame = std::move(frames_[at]);
    if (hands_on_ && at > 0) frame.arg[0] = first_result_;
    (void)sandbox_->link->Ask(std::move(frame),
                              [self = shared_from_this(), at](const Frame& answer) {
                                self->Take(at, answer);
                                return true;
                              });
  }

  void Take(size_t at, const Frame& answer) {
    if (answer.kind != Kind::kAnswer) return call_->Refuse({kSandboxError, answer.payload, {}});
    if (answer.arg[0] < 0)
      return call_->RefuseErrno(static_cast<int>(-answer.arg[0]), answer.payload);
    if (at == 0) first_result_ = answer.arg[0];
    Next(at + 1);
  }

  CallPtr call_;
  SandboxPtr sandbox_;
  std::vector<Frame> frames_;
  int64_t first_result_ = 0;
  bool hands_on_ = false;
};

void MountHost(const CallPtr& call, Sequence& sequence, const std::string& path, bool writable) {
  const std::optional<std::string> host = call->Text("hostPath");
  if (!host) return;
  if (!host->starts_with('/'))
    return call->Refuse({kInvalidParams, "Param must be an absolute path: hostPath", {}});
  sequence.Add({Kind::kMountDirectory, 0, {writable ? 1 : 0}, path + '\0' + *host + '\0'});
  sequence.Run();
}

// A file system that the client has (docs/file-protocol.md).
void MountClient(const CallPtr& call, Sequence& sequence, const std::string& path, bool writable) {
  const std::optional<std::string> socket = call->Text("socketPath");
  if (!socket) return;
  if (!socket->starts_with('/'))
    return call->Refuse({kInvalidParams, "Param must be an absolute path: socketPath", {}});
  const std::optional<std::string> key = call->Text("key");
  if (!key) return;
  constexpr int64_t kLeastMs = 50;
  constexpr int64_t kMostMs = 10'000;
  const auto timeout = call->Number("timeoutMs", kMostMs, kLeastMs, kMostMs);
  if (!timeout) return;
  constexpr int64_t kMostCacheMs = 3'600'000;
  const auto cache = call->Number("cacheMs", 0, 0, kMostCacheMs);
  if (!cache) return;
  sequence.Add({Kind::kMountClient,
                0,
                {writable ? 1 : 0, *timeout, *cache},
                path + '\0' + *socket + '\0' + *key + '\0'});
  sequence.Run();
}

void MountMemory(const CallPtr& call, Sequence& sequence, const std::string& path, bool writable) {
  Result<Files> files = ReadFiles(call->request.params, "files");
  if (!files) return call->Refuse({kInvalidParams, files.error().message, {}});
  if (writable) {
    sequence.Add({Kind::kMakeDir, 0, {0755}, path + '\0'});
    for (const auto& [name, bytes] : *files) {
      std::string payload = path;
      payload.append("/").append(name).append(1, '\0').append(bytes);
      sequence.Add({Kind::kWriteFile, 0, {0, 0644}, std::move(payload)});
    }
    return sequence.Run();
  }
  sequence.HandOnResult();
  sequence.Add({Kind::kStageFile, 0, {}, std::string(1, '\0')});
  for (const auto& [name, bytes] : *files) {
    std::string payload = name;
    payload.append(1, '\0').append(bytes);
    sequence.Add({Kind::kStageFile, 0, {}, std::move(payload)});
  }
  sequence.Add({Kind::kMountStage, 0, {}, path + '\0'});
  sequence.Run();
}

}  // namespace

void MountFiles(const CallPtr& call) {
  const SandboxPtr sandbox = call->TheSandbox();
  const std::optional<std::string> path = sandbox ? call->Path("path") : std::nullopt;
  if (!path) return;
  const auto writable = call->Flag("writable");
  if (!writable) return;
  const auto sequence = std::make_shared<Sequence>(call, sandbox);
  if (call->Has("hostPath")) return MountHost(call, *sequence, *path, *writable);
  if (call->Has("socketPath")) return MountClient(call, *sequence, *path, *writable);
  if (!call->Has("stageId")) return MountMemory(call, *sequence, *path, *writable);
  const auto stage = call->Number("stageId", 0, 1, INT32_MAX);
  if (!stage) return;
  sequence->Add({Kind::kMountStage, 0, {*stage}, *path + '\0'});
  sequence->Run();
}

void MountStage(const CallPtr& call) {
  const SandboxPtr sandbox = call->TheSandbox();
  const std::optional<std::string> name = sandbox ? call->Text("name") : std::nullopt;
  if (!name) return;
  const std::optional<std::string> bytes = call->Bytes("data", Call::Need::kMayBeMissing);
  if (!bytes) return;
  const auto stage = call->Number("stageId", 0, 0, INT32_MAX);
  if (!stage) return;
  constexpr int64_t kLargest = int64_t{1} << 40;
  const auto offset = call->Number("offset", 0, 0, kLargest);
  if (!offset) return;
  const Frame frame = {Kind::kStageFile, 0, {*stage, *offset}, *name + '\0' + *bytes};
  (void)sandbox->link->Ask(frame, [call](const Frame& answer) {
    if (answer.kind != Kind::kAnswer) {
      call->Refuse({kSandboxError, answer.payload, {}});
    } else if (answer.arg[0] < 0) {
      call->RefuseErrno(static_cast<int>(-answer.arg[0]), answer.payload);
    } else {
      call->Reply({{"stageId", answer.arg[0]}});
    }
    return true;
  });
}

void Unmount(const CallPtr& call) {
  const SandboxPtr sandbox = call->TheSandbox();
  const std::optional<std::string> path = sandbox ? call->Path("path") : std::nullopt;
  if (!path) return;
  const auto sequence = std::make_shared<Sequence>(call, sandbox);
  sequence->Add({Kind::kUnmount, 0, {}, *path + '\0'});
  sequence->Run();
}

}  // namespace cordon::rpc
