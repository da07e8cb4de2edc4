// Methods about trees and whole sandboxes: archives in and out, export and import. Archives are
// kept and read by the sandbox's keeper; only pieces of them pass here.

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "rpc/call.h"
#include "rpc/packages.h"
#include "rpc/state_flow.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr int64_t kMostAtOnce = int64_t{4} << 20;

void Ask(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, Frame frame,
         std::function<void(const Frame&)> then) {
  AskKeeper(sandbox, std::move(frame), std::move(then), RefusalOf(call));
}

void ReplyWithBlob(const CallPtr& call, const Sandbox& sandbox, const Frame& answer) {
  Json report = ParseReport(answer.payload);
  report["blobId"] = answer.arg[0];
  call->client->Keep(sandbox.link, answer.arg[0]);
  call->Reply(report);
}

// Calls `then` with the archive that the request names or brings.
void WithBlob(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
              std::function<void(int64_t)> then) {
  if (call->Has("blobId")) {
    const auto id = call->Number("blobId", 0, 1, INT64_MAX / 2);
    if (id) then(*id);
    return;
  }
  const auto bytes = call->Bytes("data", Call::Need::kMayBeMissing);
  if (!bytes) return;
  if (bytes->empty()) {
    return call->Refuse({kInvalidParams, "Missing required param: blobId or dataBase64", {}});
  }
  Ask(call, sandbox, {Kind::kBlobWrite, 0, {0}, *bytes},
      [then = std::move(then)](const Frame& answer) { then(answer.arg[0]); });
}

}  // namespace

void BlobWrite(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kReturning);
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  const auto bytes = call->Bytes("data");
  if (!bytes) return;
  Ask(call, sandbox, {Kind::kBlobWrite, 0, {*id}, *bytes}, [call, sandbox](const Frame& answer) {
    call->client->Keep(sandbox->link, answer.arg[0]);
    call->Reply({{"blobId", answer.arg[0]}});
  });
}

void BlobRead(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kLeaving);
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  const auto offset = call->Number("offset", 0, 0, int64_t{1} << 50);
  if (!offset) return;
  const auto length = call->Number("length", kMostAtOnce, 0, int64_t{1} << 50);
  if (!length) return;
  Ask(call, sandbox, {Kind::kBlobRead, 0, {*id, *offset, std::min(*length, kMostAtOnce)}, {}},
      [call](const Frame& answer) {
        Json result = {{"size", answer.payload.size()}};
        PutData(result, "data", answer.payload);
        call->Reply(result);
      });
}

void BlobGive(const CallPtr& call) {
  const OwnedFd file = call->client->TakeFile();
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kReturning);
  if (!sandbox) return;
  if (!file.valid()) {
    return call->Refuse({kInvalidParams, "No descriptor came with the request", {}});
  }
  if (const Status given = sandbox->link->GiveFile(file.get()); !given) {
    return call->Refuse({kSandboxError, given.error().ToString(), {}});
  }
  Ask(call, sandbox, {Kind::kBlobGive, 0, {}, {}}, [call, sandbox](const Frame& answer) {
    call->client->Keep(sandbox->link, answer.arg[0]);
    call->Reply({{"blobId", answer.arg[0]}});
  });
}

void BlobTake(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kLeaving);
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  if (!call->client->IsSocket()) {
    return call->Refuse({kInvalidParams, "No descriptor can go over this connection", {}});
  }
  Ask(call, sandbox, {Kind::kBlobTake, 0, {*id}, {}}, [call, sandbox](const Frame&) {
    Result<OwnedFd> file = sandbox->link->TakeFile();
    if (!file) return call->Refuse({kSandboxError, file.error().ToString(), {}});
    call->ReplyWithFile(Json::object(), std::move(*file));
  });
}

void BlobFree(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kLeaving);
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  call->client->LetGo(sandbox->link, *id);
  Ask(call, sandbox, {Kind::kBlobFree, 0, {*id}, {}},
      [call](const Frame&) { call->Reply(Json::object()); });
}

void FilesPack(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto path = call->Path("path");
  if (!path) return;
  Ask(call, sandbox, {Kind::kPackTree, 0, {}, *path},
      [call, sandbox](const Frame& answer) { ReplyWithBlob(call, *sandbox, answer); });
}

void FilesUnpack(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto path = call->Path("path");
  if (!path) return;
  WithBlob(call, sandbox, [call, sandbox, path](int64_t id) {
    call->client->LetGo(sandbox->link, id);
    Ask(call, sandbox, {Kind::kUnpackTree, 0, {id}, *path}, [call](const Frame& answer) {
      Json report = ParseReport(answer.payload);
      report.erase("size");
      call->Reply(report);
    });
  });
}

void PersistenceExport(const CallPtr& call) {
  const auto into_file = call->Flag("intoFile");
  if (!into_file) return;
  const auto file = std::make_shared<OwnedFd>();
  if (*into_file) {
    *file = call->client->TakeFile();
    if (!file->valid()) {
      return call->Refuse({kInvalidParams, "No descriptor came with the request", {}});
    }
  }
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto export_it = [call, sandbox, file](const std::string& config, const Turn& turn) {
    if (!file->valid()) {
      return Ask(
          call, sandbox, {Kind::kExportImage, 0, {}, config},
          [call, sandbox, turn](const Frame& answer) { ReplyWithBlob(call, *sandbox, answer); });
    }
    if (const Status given = sandbox->link->GiveFile(file->get()); !given) {
      return call->Refuse({kSandboxError, given.error().ToString(), {}});
    }
    Ask(call, sandbox, {Kind::kExportFile, 0, {}, config},
        [call, turn](const Frame& answer) { call->Reply(ParseReport(answer.payload)); });
  };
  CaptureInTurn(call, sandbox, export_it, RefusalOf(call));
}

void PersistenceImport(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox(Presence::kReturning);
  if (!sandbox) return;
  const std::string mode = call->Has("mode") ? call->Text("mode").value_or("?") : "replace";
  if (mode == "?") return;
  if (mode != "replace" && mode != "merge") {
    return call->Refuse({kInvalidParams, "Param must be \"replace\" or \"merge\": mode", {}});
  }
  const bool replaces = mode == "replace";
  const auto import = [call, sandbox, replaces](int64_t id, const Turn& turn) {
    call->client->LetGo(sandbox->link, id);
    Ask(call, sandbox, {Kind::kImportImage, 0, {id, replaces ? 0 : 1}, {}},
        [call, sandbox, replaces, turn](const Frame& answer) {
          RestoreState(
              sandbox, turn, ParseReport(answer.payload), replaces,
              [call, sandbox, turn](const Json& restored) {
                // What an offloaded sandbox waited for.
                if (sandbox->presence == Presence::kReturning) sandbox->presence = Presence::kHere;
                TakeOverPackages(sandbox, restored,
                                 [call, turn](const Json& report) { call->Reply(report); });
              },
              RefusalOf(call));
        });
  };
  WithBlob(call, sandbox, [call, sandbox, import](int64_t id) {
    // Until its turn comes, it goes with the client.
    call->client->Keep(sandbox->link, id);
    const auto refuse = [call, sandbox, id](const RpcError& error) {
      call->client->LetGo(sandbox->link, id);
      sandbox->link->Ask({Kind::kBlobFree, 0, {id}, {}}, [](const Frame&) { return true; });
      call->Refuse(error);
    };
    // Neither a save nor a command ever finds the new files with the old session.
    TakeTurn(call, sandbox, [id, import](const Turn& turn) { import(id, turn); }, refuse);
  });
}

}  // namespace cordon::rpc
