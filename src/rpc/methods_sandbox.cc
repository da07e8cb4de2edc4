// Methods about sandboxes as a whole.

#include <algorithm>
#include <string>
#include <vector>

#include "rpc/audit.h"
#include "rpc/autosave.h"
#include "rpc/call.h"
#include "rpc/extensions.h"
#include "rpc/namespace.h"
#include "rpc/packages.h"
#include "rpc/security.h"
#include "rpc/start_flow.h"
#include "rpc/state_flow.h"

namespace cordon::rpc {
namespace {

constexpr const char* kVersion = "0.1";
constexpr int kProtocol = 1;

bool IsName(const std::string& name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

std::vector<std::string> DefaultEnvironment(const std::string& directory) {
  return {"PATH=/usr/local/bin:/usr/bin:/bin",
          "HOME=/home/user",
          "USER=user",
          "LOGNAME=user",
          "SHELL=/bin/bash",
          "LANG=C.UTF-8",
          "PWD=" + directory};
}

bool ReadEnvironment(const CallPtr& call, std::vector<std::string>* variables) {
  const auto given = call->request.params.find("env");
  if (given == call->request.params.end() || given->is_null()) return true;
  if (!given->is_object()) {
    call->Refuse({kInvalidParams, "Param must be an object of strings: env", {}});
    return false;
  }
  for (const auto& [name, value] : given->items()) {
    if (!IsName(name)) {
      call->Refuse({kInvalidParams, "Invalid environment variable name: '" + name + "'", {}});
      return false;
    }
    if (!value.is_string() || value.get<std::string>().find('\0') != std::string::npos) {
      call->Refuse({kInvalidParams, "Param must be an object of strings: env", {}});
      return false;
    }
    std::erase_if(*variables, [&](const std::string& old) { return old.starts_with(name + "="); });
    variables->push_back(name + "=" + value.get<std::string>());
  }
  return true;
}

// {mode: ephemeral | session | persistent, namespace, autosaveMs}
bool ReadPersistence(const CallPtr& call, live::LiveOptions* options, Sandbox* sandbox) {
  const auto given = call->request.params.find("persistence");
  if (given == call->request.params.end() || given->is_null()) return true;
  const auto refuse = [&](const std::string& reason) {
    call->Refuse({kInvalidParams, reason, {}});
    return false;
  };
  const auto text = [&](const char* name, const char* otherwise) {
    const auto found = given->find(name);
    if (found == given->end()) return std::string(otherwise);
    return found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!given->is_object()) return refuse("Param must be an object: persistence");
  for (const auto& [name, value] : given->items()) {
    if (name != "mode" && name != "namespace" && name != "autosaveMs")
      return refuse("Unknown member of persistence: " + name);
  }
  const std::string mode = text("mode", "ephemeral");
  if (mode == "ephemeral") return true;
  if (mode != "session" && mode != "persistent")
    return refuse("persistence.mode must be ephemeral, session or persistent");
  const std::string name = text("namespace", "default");
  if (!IsNamespace(name)) return refuse(kNoNamespace);
  const Json autosave = given->value("autosaveMs", Json(1000));
  constexpr int kMost = 86'400'000;
  if (!autosave.is_number() || autosave.get<double>() < 10 || autosave.get<double>() > kMost)
    return refuse("persistence.autosaveMs must be a number from 10 to 86400000");
  Server& server = call->client->server;
  if (server.options().state_folder.empty())
    return refuse("This daemon has no folder for states: start it with --state-dir");
  options->state_folder = server.options().state_folder + "/" + name;
  sandbox->can_be_saved = true;
  if (mode == "persistent") sandbox->autosave_ms = static_cast<int64_t>(autosave.get<double>());
  return true;
}

// It is the client's from now on.
void Created(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, const Json& told) {
  sandbox->is_there = true;
  call->Reply(told);
  Audit(*sandbox, "sandbox.create");
}

// Of a new sandbox that is persistent: what was saved before, then its saves begin.
void LoadAndReply(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox) {
  const auto fail = [call, sandbox](const RpcError& error) {
    call->Refuse({kSandboxError, "The saved state cannot be loaded: " + error.message, {}});
    call->client->server.Forget(sandbox);
  };
  const auto begin = [call, sandbox](const Json& told) {
    sandbox->autosave = std::make_shared<AutoSave>(call->client->server.loop(), sandbox,
                                                   std::chrono::milliseconds(sandbox->autosave_ms));
    Created(call, sandbox, told);
  };
  const auto load = [=](const Turn& turn) {
    AskKeeper(
        sandbox, {live::Kind::kLoadState, 0, {}, {}},
        [=](const live::Frame& answer) {
          Json told = {{"sandboxId", sandbox->id}, {"loaded", answer.arg[0] != 0}};
          if (answer.arg[0] == 0) return begin(told);
          RestoreState(
              sandbox, turn, ParseReport(answer.payload), /*replaces=*/false,
              [=](const Json& restored) {
                TakeOverPackages(sandbox, restored, [=](const Json& report) mutable {
                  told["skipped"] = report.value("skipped", Json::array());
                  begin(told);
                });
              },
              fail);
        },
        fail);
  };
  // Its client may have asked for commands already, without having heard of it.
  TakeTurn(call, sandbox, load, fail);
}

// What create was given.
bool ReadOptions(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox) {
  live::LiveOptions& options = sandbox->options;
  options.sandbox.template_path = call->client->server.options().template_path;
  options.sandbox.userland_path = call->client->server.options().userland_path;
  options.tells_use = call->client->server.quota().is_set();
  options.sandbox.unpacker_path = call->client->server.options().unpacker_path;
  if (call->HasName("directory")) {
    const std::optional<std::string> directory = call->Path("directory");
    if (!directory) return false;
    options.directory = *directory;
  }
  options.environment = DefaultEnvironment(options.directory);
  return ReadEnvironment(call, &options.environment) &&
         ReadSecurity(call, &options, sandbox.get()) &&
         ReadPersistence(call, &options, sandbox.get()) &&
         ReadPackagePolicy(call, &options, sandbox);
}

}  // namespace

void PoolFill(const CallPtr& call) {
  const auto kind = std::make_shared<Sandbox>();
  if (!ReadOptions(call, kind)) return;
  if (kind->can_be_saved) {
    return call->Refuse({kInvalidParams, "Sandboxes that can be saved do not wait", {}});
  }
  constexpr int64_t kMostWaiting = 1000;
  constexpr int64_t kMost = 100'000;
  constexpr int64_t kLongestPause = 86'400'000;
  const auto size = call->Number("size", 1, 0, kMostWaiting);
  if (!size) return;
  const auto most = call->Number("most", kMost, 0, kMost);
  if (!most) return;
  const auto pause = call->Number("intervalMs", 0, 0, kLongestPause);
  if (!pause) return;
  Server& server = call->client->server;
  server.pool().Choose(
      kind->options,
      {static_cast<size_t>(*size), static_cast<size_t>(*most), std::chrono::milliseconds(*pause),
       [&server] { return server.sandboxes().size(); }},
      [call](const std::string& error) {
        if (error.empty()) return call->Reply(Json::object());
        call->Refuse({kSandboxError, error, {}});
      });
}

void Create(const CallPtr& call) {
  Server& server = call->client->server;
  if (!call->HasRoom()) return;
  const auto sandbox = std::make_shared<Sandbox>();
  if (!ReadOptions(call, sandbox)) return;
  const live::LiveOptions& options = sandbox->options;
  const auto detached = call->Flag("detached");
  if (!detached) return;
  const auto is_audited = call->Flag("audit");
  if (!is_audited) return;
  sandbox->owner = call->client;
  sandbox->detached = *detached;
  sandbox->is_audited = *is_audited;
  if (call->Has("label")) {
    const std::optional<std::string> label = call->Text("label");
    if (!label) return;
    sandbox->label = *label;
  }
  const SandboxLink::Handler hear =
      HearSandbox(call, sandbox, [call](const std::shared_ptr<Sandbox>& it) {
        if (it->autosave_ms > 0) {
          LoadAndReply(call, it);
        } else {
          // Before the keeper is asked for anything, which would take a processor.
          Created(call, it, {{"sandboxId", it->id}});
        }
        it->extensions = std::make_shared<Extensions>(it->id, it->link);
      });
  sandbox->link = server.pool().Take(options, hear);
  const bool was_ready = sandbox->link != nullptr;
  if (!was_ready) {
    Result<std::shared_ptr<SandboxLink>> started = SandboxLink::Start(server.loop(), options, hear);
    if (!started) return call->Refuse({kSandboxError, started.error().ToString(), {}});
    sandbox->link = std::move(*started);
    server.quota().Count(sandbox->link);
  }
  server.sandboxes()[sandbox->id] = sandbox;
  if (call->client->first_sandbox.empty()) call->client->first_sandbox = sandbox->id;
  if (was_ready) (void)hear({live::Kind::kReady, 0, {}, {}});
  server.pool().Keep(options);
}

void ListSandboxes(const CallPtr& call) {
  Json list = Json::array();
  for (const auto& [id, sandbox] : call->client->server.sandboxes()) {
    if (!sandbox->detached && sandbox->owner.lock() != call->client) continue;
    Json one = {
        {"sandboxId", id}, {"detached", sandbox->detached}, {"running", sandbox->running.size()}};
    if (!sandbox->label.empty()) one["label"] = sandbox->label;
    list.push_back(std::move(one));
  }
  call->Reply({{"sandboxes", list}});
}

void Destroy(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandboxInAnyState();
  if (!sandbox) return;
  call->client->server.Forget(sandbox, [call](const std::string& error) {
    if (error.empty()) return call->Reply(Json::object());
    call->Refuse({kSandboxError, "The last changes could not be saved: " + error, {}});
  });
}

void Kill(const CallPtr& call) {
  Server& server = call->client->server;
  for (const auto& [id, sandbox] : std::map(server.sandboxes())) {
    if (!sandbox->detached && sandbox->owner.lock() == call->client) server.Forget(sandbox);
  }
  call->client->first_sandbox.clear();
  call->Reply(Json::object());
  if (server.is_stdio()) call->client->LeaveWhenTold();
}

void Version(const CallPtr& call) {
  call->Reply({{"version", kVersion}, {"protocol", kProtocol}});
}

void UsageTotal(const CallPtr& call) {
  Server& server = call->client->server;
  Json told = {{"sandboxes", server.sandboxes().size()}};
  if (server.quota().is_set()) {
    const Quota::Total total = server.quota().Sum();
    told["memoryBytes"] = total.memory_bytes;
    told["processes"] = total.processes;
    const Quota::Limits none;
    const Quota::Limits& limits = server.quota().limits();
    Json most = Json::object();
    if (limits.memory_bytes != none.memory_bytes) most["memoryBytes"] = limits.memory_bytes;
    if (limits.processes != none.processes) most["processes"] = limits.processes;
    told["most"] = std::move(most);
  }
  call->Reply(told);
}

void Usage(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  sandbox->link->Ask({live::Kind::kUsage, 0, {}, {}}, [call](const live::Frame& frame) {
    const std::optional<control::Usage> usage = ReadUsage(frame);
    if (!usage) {
      call->Refuse({kSandboxError, frame.payload, {}});
      return true;
    }
    call->Reply({{"processes", usage->processes_now},
                 {"processesStarted", usage->processes_started},
                 {"memoryBytes", usage->memory_bytes_now},
                 {"memoryPeakBytes", usage->memory_bytes_peak},
                 {"fileBytes", usage->file_bytes},
                 {"fileCount", usage->file_count}});
    return true;
  });
}

}  // namespace cordon::rpc
