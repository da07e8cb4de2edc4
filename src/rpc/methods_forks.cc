// Methods about the state of a sandbox: forks and snapshots.

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "rpc/audit.h"
#include "rpc/autosave.h"
#include "rpc/call.h"
#include "rpc/extensions.h"
#include "rpc/packages.h"
#include "rpc/start_flow.h"

namespace cordon::rpc {
namespace {

// What the keeper answers with is a number or a reason.
bool RefuseIfFailed(const CallPtr& call, const live::Frame& frame) {
  if (frame.kind == live::Kind::kAnswer && frame.arg[0] >= 0) return false;
  RpcError error = {kSandboxError, frame.payload, {}};
  if (frame.kind == live::Kind::kAnswer) {
    error.error_name = ErrorOf(static_cast<int>(-frame.arg[0]), {}).error_name;
  }
  call->Refuse(error);
  return true;
}

void Ask(const CallPtr& call, live::Kind kind, const char* parameter) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const std::optional<std::string> name = call->Text(parameter);
  if (!name) return;
  sandbox->link->Ask({kind, 0, {}, *name}, [call](const live::Frame& frame) {
    if (!RefuseIfFailed(call, frame)) call->Reply(Json::object());
    return true;
  });
}

constexpr int64_t kMostForks = 1000;

// What came of one fork: a sandbox, or why there is none.
using ForkTold = std::function<void(const std::shared_ptr<Sandbox>&, const RpcError&)>;

// A copy that is to be asked for, and who hears what became of it.
struct NewFork {
  std::shared_ptr<Sandbox> sandbox;
  SandboxLink::ForkHandlers handlers;
};

NewFork PrepareFork(const CallPtr& call, const std::shared_ptr<Sandbox>& origin, bool detached,
                    const ForkTold& told) {
  Server& server = call->client->server;
  const auto sandbox = std::make_shared<Sandbox>();
  sandbox->limits = origin->limits;
  sandbox->owner = call->client;
  sandbox->detached = detached;
  sandbox->is_audited = origin->is_audited;
  sandbox->options = origin->options;
  sandbox->options.state_folder.clear();
  InheritPackages(server, *origin, sandbox);
  Extensions::Known served = origin->extensions ? origin->extensions->known() : Extensions::Known();
  const std::weak_ptr<Sandbox> known = sandbox;
  const auto fail = [told](const std::string& reason) {
    told(nullptr, {kSandboxError, reason, {}});
  };
  const auto when_ready = [told, from = origin->id,
                           served = std::move(served)](const std::shared_ptr<Sandbox>& it) {
    it->is_there = true;
    it->extensions = std::make_shared<Extensions>(it->id, it->link, served);
    told(it, {});
    Audit(*it, "sandbox.create", {{"forkOf", from}});
  };
  return {sandbox,
          {HearSandbox(server, sandbox, when_ready, fail),
           [&server, fail, known](const std::string& reason) {
             fail(reason);
             if (const std::shared_ptr<Sandbox> it = known.lock()) server.Forget(it);
           }}};
}

// Asks for all of them, at one moment of the origin.
void AskForForks(const CallPtr& call, const std::shared_ptr<Sandbox>& origin,
                 std::vector<NewFork> forks) {
  Server& server = call->client->server;
  std::vector<SandboxLink::ForkHandlers> handlers;
  handlers.reserve(forks.size());
  for (const NewFork& fork : forks) handlers.push_back(fork.handlers);
  auto links = origin->link->ForkMany(server.loop(), std::move(handlers));
  for (size_t i = 0; i < forks.size(); ++i) {
    const std::shared_ptr<Sandbox>& sandbox = forks[i].sandbox;
    if (!links) {
      forks[i].handlers.on_refusal(links.error().ToString());
      continue;
    }
    sandbox->link = std::move((*links)[i]);
    server.quota().Count(sandbox->link, origin->link.get());
    server.sandboxes()[sandbox->id] = sandbox;
  }
}

// Forks that one request asks for. Each has its own answer: what does not fit is refused, and the
// others are there.
struct ManyForks {
  CallPtr call;
  int64_t left;
  Json told = Json::array();
};

void Tell(const std::shared_ptr<ManyForks>& forks, const Json& one) {
  forks->told.push_back(one);
  if (--forks->left == 0) forks->call->Reply({{"forks", forks->told}});
}

void ForkMany(const CallPtr& call, const std::shared_ptr<Sandbox>& origin, int64_t count,
              bool detached) {
  const auto forks = std::make_shared<ManyForks>(ManyForks{call, count});
  const auto told_once = [forks] {
    // Whatever becomes of it later is not about this request any more.
    return [forks, is_told = std::make_shared<bool>(false)](const std::shared_ptr<Sandbox>& it,
                                                            const RpcError& error) {
      if (std::exchange(*is_told, true)) return;
      Tell(forks, it ? Json{{"sandboxId", it->id}} : Json{{"error", ErrorObject(error)}});
    };
  };
  std::vector<NewFork> batch;
  for (int64_t i = 0; i < count; ++i) {
    if (const auto refusal = call->RoomRefusal(batch.size())) {
      Tell(forks, {{"error", ErrorObject(*refusal)}});
      continue;
    }
    batch.push_back(PrepareFork(call, origin, detached, told_once()));
    if (batch.size() == live::kMostForksAtOnce) {
      AskForForks(call, origin, std::exchange(batch, {}));
    }
  }
  if (!batch.empty()) AskForForks(call, origin, std::move(batch));
}

}  // namespace

void Fork(const CallPtr& call) {
  const std::shared_ptr<Sandbox> origin = call->TheSandbox();
  if (!origin) return;
  const auto detached = call->Flag("detached");
  if (!detached) return;
  if (call->Has("count")) {
    const auto count = call->Number("count", 1, 1, kMostForks);
    if (count) ForkMany(call, origin, *count, *detached);
    return;
  }
  if (!call->HasRoom()) return;
  std::vector<NewFork> one;
  one.push_back(PrepareFork(call, origin, *detached,
                            [call](const std::shared_ptr<Sandbox>& it, const RpcError& error) {
                              if (it) return call->Reply({{"sandboxId", it->id}});
                              call->Refuse(error);
                            }));
  AskForForks(call, origin, std::move(one));
}

namespace {

void AskForSnapshot(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
                    const std::string& name) {
  sandbox->link->Ask(
      {live::Kind::kSnapshot, 0, {}, name}, [call, sandbox, name](const live::Frame& frame) {
        // A number that somebody gave as a name.
        if (frame.kind == live::Kind::kAnswer && frame.arg[0] == -EEXIST && !call->Has("name")) {
          AskForSnapshot(call, sandbox, std::to_string(++sandbox->last_snapshot));
        } else if (!RefuseIfFailed(call, frame)) {
          call->Reply({{"snapshotId", name}});
        }
        return true;
      });
}

}  // namespace

void SnapshotCreate(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox || !call->HasMemory()) return;
  if (!call->Has("name")) {
    return AskForSnapshot(call, sandbox, std::to_string(++sandbox->last_snapshot));
  }
  const std::optional<std::string> name = call->Text("name");
  if (name) AskForSnapshot(call, sandbox, *name);
}

void SnapshotRestore(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox || !call->HasMemory()) return;
  const std::optional<std::string> name = call->Text("snapshotId");
  if (!name) return;
  sandbox->link->Ask({live::Kind::kRestore, 0, {}, *name},
                     [call, sandbox](const live::Frame& frame) {
                       if (RefuseIfFailed(call, frame)) return true;
                       // The files are those of then, and with them what is installed.
                       const AutoSave::Held held = HoldSaves(*sandbox);
                       if (!sandbox->packages) {
                         call->Reply(Json::object());
                         return true;
                       }
                       TakeOverPackages(sandbox, Json::object(),
                                        [call, held](const Json&) { call->Reply(Json::object()); });
                       return true;
                     });
}

void SnapshotDelete(const CallPtr& call) {
  Ask(call, live::Kind::kDeleteSnapshot, "snapshotId");
}

void SnapshotList(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  sandbox->link->Ask({live::Kind::kListSnapshots, 0, {}, {}}, [call](const live::Frame& frame) {
    if (RefuseIfFailed(call, frame)) return true;
    live::PayloadReader reader(frame.payload);
    Json list = Json::array();
    int64_t seconds = 0;
    std::string name;
    while (reader.Take(&seconds) && reader.TakeString(&name)) {
      list.push_back({{"snapshotId", name}, {"timestamp", seconds * 1000}});
    }
    call->Reply({{"snapshots", list}});
    return true;
  });
}

}  // namespace cordon::rpc
