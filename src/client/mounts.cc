// What is mounted in one sandbox.

#include <algorithm>
#include <utility>

#include "client/ask.h"
#include "cordon/sandbox.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
using client::Json;

namespace {

// Asks about one sandbox; a request for each piece of what is mounted.
class Mounter {
 public:
  Mounter(const std::shared_ptr<client::Connection>& connection, const std::string& sandbox,
          const std::string& path)
      : connection_(connection), sandbox_(sandbox), path_(path) {}

  Status operator()(const HostDirectory& host) const {
    return AskDone(connection_, sandbox_, "mount",
                   {{"path", path_}, {"hostPath", host.path}, {"writable", host.writable}});
  }

  Status operator()(const MemoryFiles& memory) const {
    return memory.writable ? MountOwn(memory) : MountStaged(memory);
  }

  Status operator()(const ServedFiles& served) const {
    if (!connection_) return std::unexpected(client::Destroyed());
    if (!served.files) return Fail(ErrorCode::kInvalid, "mount " + path_ + ": no file system");
    const auto address = connection_->file_host().Add(served.files, served.writable);
    if (!address) return std::unexpected(address.error());
    Json params = {{"path", path_},
                   {"socketPath", address->socket_path},
                   {"key", address->key},
                   {"writable", served.writable}};
    if (served.timeout_ms) params["timeoutMs"] = *served.timeout_ms;
    if (served.cache_ms) params["cacheMs"] = *served.cache_ms;
    return AskDone(connection_, sandbox_, "mount", std::move(params));
  }

 private:
  // A directory of the sandbox's own.
  Status MountOwn(const MemoryFiles& memory) const {
    CORDON_TRY(AskDone(connection_, sandbox_, "mount",
                       {{"path", path_}, {"files", Json::object()}, {"writable", true}}));
    for (const auto& file : memory.files) {
      const std::string path = path_ + "/" + file.first;
      CORDON_TRY(InPieces(file.second, [&](size_t offset, const Json& data) {
        return AskDone(connection_, sandbox_, "files.write",
                       {{"path", path}, {"append", offset > 0}, {"data", data}});
      }));
    }
    return {};
  }

  // In pieces, whatever its size; seen when all of it is there.
  Status MountStaged(const MemoryFiles& memory) const {
    const Result<Json> stage = AskOf(connection_, sandbox_, "mount.stage", {{"name", ""}});
    if (!stage) return std::unexpected(stage.error());
    const Json id = stage->value("stageId", Json());
    for (const auto& file : memory.files) {
      CORDON_TRY(InPieces(file.second, [&](size_t offset, const Json& data) {
        return AskDone(connection_, sandbox_, "mount.stage",
                       {{"stageId", id}, {"name", file.first}, {"offset", offset}, {"data", data}});
      }));
    }
    return AskDone(connection_, sandbox_, "mount", {{"path", path_}, {"stageId", id}});
  }

  // An empty file is a piece, too.
  template <typename Send>
  static Status InPieces(std::string_view bytes, Send send) {
    for (size_t at = 0; at == 0 || at < bytes.size(); at += client::kPiece) {
      CORDON_TRY(send(at, client::BytesOf(bytes.substr(at, client::kPiece))));
    }
    return {};
  }

  const std::shared_ptr<client::Connection>& connection_;
  const std::string& sandbox_;
  const std::string& path_;
};

}  // namespace

Status Sandbox::Mount(const std::string& path, const MountSource& source) {
  return std::visit(Mounter(connection_, id_, path), source);
}

Status Sandbox::Unmount(const std::string& path) {
  return AskDone(connection_, id_, "unmount", {{"path", path}});
}

}  // namespace cordon
