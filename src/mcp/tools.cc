// What each tool does: requests to the daemon, one after the other.

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mcp/clean_text.h"
#include "mcp/sandbox_request.h"
#include "mcp/session.h"
#include "rpc/base64.h"

namespace cordon::mcp {
namespace {

using rpc::Json;

constexpr int64_t kMostRead = 1 << 20;
constexpr size_t kPiece = size_t{4} << 20;
// A state that is part of an answer, and not kept in a folder.
constexpr int64_t kMostInline = int64_t{8} << 20;

// The daemon's answer, or the call fails with its reason. The id of the request.
int64_t Ask(const ToolCallPtr& call, const char* method, const Json& params,
            std::function<void(const Json&)> then) {
  return call->session.daemon().Ask(method, params,
                                    [call, then = std::move(then)](const auto& answer) {
                                      if (!answer.error.empty()) return call->Fail(answer.error);
                                      then(answer.result);
                                    });
}

// The same, of what waits for the session's commands to end: whoever cancels gives it up.
void AskToWait(const ToolCallPtr& call, const char* method, const Json& params,
               std::function<void(const Json&)> then) {
  call->running = Ask(call, method, params, [call, then = std::move(then)](const Json& result) {
    call->running = 0;
    then(result);
  });
}

// A sandbox that is being made with the settings' mounts. One that cannot have them is none.
struct Making {
  Session& session;
  SandboxRequest request;
  std::function<void(const std::string& error, const Json& made)> then;
  Json made = {};  // what the daemon says of it
  size_t mounted = 0;

  [[nodiscard]] Json about() const { return {{"sandboxId", made.value("sandboxId", "")}}; }
};
using MakingPtr = std::shared_ptr<Making>;

void MountNext(const MakingPtr& making) {
  if (making->mounted == making->request.mounts.size()) return making->then({}, making->made);
  const HostMount& mount = making->request.mounts[making->mounted++];
  Json params = making->about();
  params["path"] = mount.guest;
  params["hostPath"] = mount.host;
  params["writable"] = mount.is_writable;
  making->session.daemon().Ask("mount", params, [making, mount](const DaemonLink::Answer& mounted) {
    if (mounted.error.empty()) return MountNext(making);
    const std::string error =
        Renamed(mounted.error, mount.host, "(what is at " + mount.guest + ")");
    making->session.daemon().Ask("sandbox.destroy", making->about(),
                                 [making, error](const auto&) { making->then(error, {}); });
  });
}

void Make(const MakingPtr& making) {
  making->session.daemon().Ask("create", making->request.create,
                               [making](const DaemonLink::Answer& made) {
                                 if (!made.error.empty()) return making->then(made.error, {});
                                 making->made = made.result;
                                 MountNext(making);
                               });
}

// Makes the sandbox of those who name none; they all get the same.
void MakeDefault(const ToolCallPtr& call, std::function<void(const std::string& error)> then) {
  Session& session = call->session;
  session.waiting_for_default.push_back(std::move(then));
  if (session.waiting_for_default.size() > 1) return;
  const auto made = [&session](const std::string& error, const Json& told) {
    if (error.empty()) {
      session.default_sandbox = told.value("sandboxId", "");
      session.sandboxes.insert(session.default_sandbox);
    }
    for (const auto& one : std::exchange(session.waiting_for_default, {})) one(error);
  };
  Make(std::make_shared<Making>(session, RequestDefaultSandbox(session.settings()), made));
}

// The sandbox that is named, the one that was used without a name before, any, or a new one.
void WithSandbox(const ToolCallPtr& call, std::function<void(const std::string&)> then) {
  const auto use = [call, then = std::move(then)](const std::string& id) {
    // Whoever cancels while a sandbox is made wants nothing to be done in it.
    if (call->is_over()) return;
    call->sandbox_id = id;
    then(id);
  };
  if (call->arguments.contains("sandbox_id")) {
    return use(call->arguments["sandbox_id"].get<std::string>());
  }
  Ask(call, "sandbox.list", Json::object(), [call, use](const Json& list) {
    std::string& known = call->session.default_sandbox;
    std::string any;
    for (const Json& one : list["sandboxes"]) {
      const std::string id = one.value("sandboxId", "");
      if (!call->session.sandboxes.contains(id)) continue;
      if (any.empty() || id == known) any = id;
    }
    if (!any.empty() && call->session.waiting_for_default.empty()) {
      known = any;
      return use(any);
    }
    MakeDefault(call, [call, use](const std::string& error) {
      if (!error.empty()) return call->Fail(error);
      use(call->session.default_sandbox);
    });
  });
}

Json In(const std::string& sandbox, Json params) {
  params["sandboxId"] = sandbox;
  return params;
}

// As the daemon puts bytes: a member, or one with "Base64" behind its name, which is exact.
std::string BytesOf(const Json& object, const std::string& name) {
  const std::string coded = object.value(name + "Base64", "");
  if (!coded.empty()) return rpc::DecodeBase64(coded).value_or("");
  return object.value(name, "");
}

Json NamesOf(const Json& skipped) {
  Json names = Json::array();
  for (const Json& name : skipped) {
    if (name.is_string()) names.push_back(CleanText(name.get<std::string>()));
  }
  return names;
}

// What a command that streams has written.
struct Kept {
  std::string out;
  std::string error;
};

void ReportOutput(const ToolCallPtr& call, Kept* kept, const Json& params) {
  const std::string bytes = BytesOf(params, "data");
  (params.value("stream", "stdout") == "stderr" ? kept->error : kept->out) += bytes;
  call->Progress(CleanText(bytes));
}

// As text for a model, or exact, as the call asks for.
std::string Encoded(const ToolCallPtr& call, const std::string& bytes) {
  const bool is_exact = call->arguments.value("encoding", "utf-8") == "base64";
  return is_exact ? rpc::EncodeBase64(bytes) : CleanText(bytes);
}

Json ResultOfCommand(const ToolCallPtr& call, const Json& result, const std::string& out,
                     const std::string& error) {
  const Json truncated = result.value("truncated", Json::object());
  Json told = {{"exit_code", result.value("exitCode", -1)},
               {"stdout", Encoded(call, out)},
               {"stderr", Encoded(call, error)},
               {"execution_time_ms", result.value("executionTimeMs", 0.0)},
               {"truncated", truncated.value("stdout", false) || truncated.value("stderr", false)}};
  const Json usage = result.value("usage", Json::object());
  told["cpu_ms"] = usage.value("cpuMs", 0.0);
  told["memory_peak_bytes"] = usage.value("memoryPeakBytes", uint64_t{0});
  if (result.contains("errorClass")) told["error_class"] = result["errorClass"];
  return told;
}

// A state in pieces, then `then` with all of it.
void TakeBlob(const ToolCallPtr& call, const std::string& sandbox, const Json& blob,
              const std::shared_ptr<std::string>& bytes, const std::function<void()>& then) {
  Ask(call, "blob.read", In(sandbox, {{"blobId", blob["blobId"]}, {"offset", bytes->size()}}),
      [call, sandbox, blob, bytes, then](const Json& piece) {
        const std::string more = BytesOf(piece, "data");
        *bytes += more;
        call->Progress(std::to_string(bytes->size()) + " bytes");
        if (!more.empty() && bytes->size() < blob["size"].get<uint64_t>()) {
          return TakeBlob(call, sandbox, blob, bytes, then);
        }
        Ask(call, "blob.free", In(sandbox, {{"blobId", blob["blobId"]}}),
            [then](const Json&) { then(); });
      });
}

void GiveBlob(const ToolCallPtr& call, const std::string& sandbox,
              const std::shared_ptr<const std::string>& bytes, size_t done, int64_t blob,
              const std::function<void(int64_t)>& then) {
  Ask(call, "blob.write",
      In(sandbox,
         {{"blobId", blob}, {"dataBase64", rpc::EncodeBase64(bytes->substr(done, kPiece))}}),
      [call, sandbox, bytes, done, then](const Json& answer) {
        const auto id = answer["blobId"].get<int64_t>();
        const size_t next = done + kPiece;
        call->Progress(std::to_string(std::min(next, bytes->size())) + " bytes");
        if (next >= bytes->size()) return then(id);
        GiveBlob(call, sandbox, bytes, next, id, then);
      });
}

#define TOOL(name, handler, where, title, description, annotations, input, output) \
  void handler(const ToolCallPtr& call);
#include "mcp/tools.def"
#undef TOOL

// Whether somebody waits for this new sandbox; otherwise it is ended.
bool TellOf(const ToolCallPtr& call, const Json& made) {
  const Json& id = made["sandboxId"];
  if (call->is_over()) {
    call->session.daemon().Ask("sandbox.destroy", {{"sandboxId", id}}, [](const auto&) {});
    return false;
  }
  call->session.sandboxes.insert(id.get<std::string>());
  return true;
}

void CreateSandbox(const ToolCallPtr& call) {
  auto request = RequestSandbox(call->session.settings(), call->arguments);
  if (!request) return call->Fail(request.error());
  const auto made = [call](const std::string& error, const Json& told) {
    if (!error.empty()) return call->Fail(error);
    if (!TellOf(call, told)) return;
    Json answer = {{"sandbox_id", told["sandboxId"]}};
    if (told.contains("loaded")) answer["loaded"] = told["loaded"];
    if (told.contains("skipped")) answer["skipped"] = NamesOf(told["skipped"]);
    call->Reply(answer);
  };
  Make(std::make_shared<Making>(call->session, std::move(*request), made));
}

void DestroySandbox(const ToolCallPtr& call) {
  const Json id = call->arguments["sandbox_id"];
  Ask(call, "sandbox.destroy", {{"sandboxId", id}}, [call, id](const Json&) {
    call->session.sandboxes.erase(id.get<std::string>());
    call->Reply({{"destroyed", id}});
  });
}

void ListSandboxes(const ToolCallPtr& call) {
  Ask(call, "sandbox.list", Json::object(), [call](const Json& list) {
    Json sandboxes = Json::array();
    for (const Json& one : list["sandboxes"]) {
      if (!call->session.sandboxes.contains(one["sandboxId"].get<std::string>())) continue;
      Json told = {{"sandbox_id", one["sandboxId"]}, {"running", one["running"]}};
      if (one.contains("label")) told["label"] = CleanText(one["label"].get<std::string>());
      sandboxes.push_back(std::move(told));
    }
    call->Reply({{"sandboxes", std::move(sandboxes)}});
  });
}

// `method` is run or exec; `members` are the arguments that it takes as they are.
void RunFor(const ToolCallPtr& call, const char* method,
            std::initializer_list<const char*> members) {
  Json params = Json::object();
  const Json& arguments = call->arguments;
  const std::string wrong = TakeCommandLimits(call->session.settings(), arguments, &params);
  if (!wrong.empty()) return call->Fail(wrong);
  for (const char* name : members) {
    if (arguments.contains(name)) params[name] = arguments[name];
  }
  if (arguments.contains("stdin")) {
    const bool is_coded = arguments.value("stdin_encoding", "utf-8") == "base64";
    params[is_coded ? "stdinBase64" : "stdin"] = arguments["stdin"];
  }
  // Output streams for whoever wants to hear of it.
  if (call->wants_progress()) params["stream"] = true;
  WithSandbox(call, [call, method, params](const std::string& sandbox) {
    const auto kept = std::make_shared<Kept>();
    const auto finish = [call, kept](const DaemonLink::Answer& answer) {
      call->running = 0;
      if (!answer.error.empty()) return call->Fail(answer.error);
      call->Reply(ResultOfCommand(call, answer.result, kept->out + BytesOf(answer.result, "stdout"),
                                  kept->error + BytesOf(answer.result, "stderr")));
    };
    call->running = call->session.daemon().Ask(
        method, In(sandbox, params), finish,
        [call, kept](const Json& output) { ReportOutput(call, kept.get(), output); });
  });
}

void RunCommand(const ToolCallPtr& call) {
  RunFor(call, "run", {"command"});
}

void ExecProgram(const ToolCallPtr& call) {
  RunFor(call, "exec", {"argv", "env", "cwd"});
}

void ReadFile(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    const Json& arguments = call->arguments;
    Ask(call, "files.read",
        In(sandbox, {{"path", arguments["path"]},
                     {"offset", arguments.value("offset", 0)},
                     {"length", arguments.value("length", kMostRead)}}),
        [call](const Json& answer) {
          const std::string bytes = BytesOf(answer, "data");
          call->Reply({{"content", Encoded(call, bytes)},
                       {"encoding", call->arguments.value("encoding", "utf-8")},
                       {"size", bytes.size()}});
        });
  });
}

void WriteFile(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    const Json& arguments = call->arguments;
    const bool is_coded = arguments.value("encoding", "utf-8") == "base64";
    Ask(call, "files.write",
        In(sandbox, {{"path", arguments["path"]},
                     {is_coded ? "dataBase64" : "data", arguments["content"]},
                     {"append", arguments.value("append", false)}}),
        [call](const Json&) { call->Reply({{"path", call->arguments["path"]}}); });
  });
}

void ListDirectory(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    Ask(call, "files.list", In(sandbox, {{"path", call->arguments["path"]}}),
        [call](const Json& list) {
          Json entries = Json::array();
          for (const Json& entry : list["entries"]) {
            Json told = {{"name", CleanText(BytesOf(entry, "name"))},
                         {"type", entry["type"]},
                         {"size", entry["size"]},
                         {"mtime_ms", entry["mtimeMs"]}};
            if (entry.contains("target")) told["target"] = CleanText(BytesOf(entry, "target"));
            entries.push_back(std::move(told));
          }
          call->Reply({{"entries", std::move(entries)}});
        });
  });
}

void ForkSandbox(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    Ask(call, "sandbox.fork", In(sandbox, Json::object()), [call](const Json& made) {
      if (TellOf(call, made)) call->Reply({{"sandbox_id", made["sandboxId"]}});
    });
  });
}

void TakeSnapshot(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    Json params = In(sandbox, Json::object());
    if (call->arguments.contains("name")) params["name"] = call->arguments["name"];
    Ask(call, "snapshot.create", params,
        [call](const Json& made) { call->Reply({{"snapshot_id", made["snapshotId"]}}); });
  });
}

void RestoreSnapshot(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    const Json id = call->arguments["snapshot_id"];
    Ask(call, "snapshot.restore", In(sandbox, {{"snapshotId", id}}),
        [call, id](const Json&) { call->Reply({{"restored", id}}); });
  });
}

void ListSnapshots(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    Ask(call, "snapshot.list", In(sandbox, Json::object()), [call](const Json& list) {
      Json snapshots = Json::array();
      for (const Json& one : list["snapshots"]) {
        snapshots.push_back(
            {{"snapshot_id", one["snapshotId"]}, {"timestamp_ms", one["timestamp"]}});
      }
      call->Reply({{"snapshots", std::move(snapshots)}});
    });
  });
}

void FinishExport(const ToolCallPtr& call, const std::string& bytes, const Json& report) {
  // One that was cancelled replaces no state.
  if (call->is_over()) return;
  Json told = {{"size", report["size"]},
               {"digest", report["digest"]},
               {"skipped", NamesOf(report["skipped"])}};
  const auto& states = call->session.states();
  if (states) {
    const auto name = call->arguments["name"].get<std::string>();
    const Status written = states->Write(name, bytes);
    if (!written) return call->Fail(written.error().ToString());
    told["name"] = name;
  } else {
    told["data"] = rpc::EncodeBase64(bytes);
  }
  call->Reply(told);
}

void ExportState(const ToolCallPtr& call) {
  const bool is_kept = call->session.states().has_value();
  const std::string name = call->arguments.value("name", "");
  if (is_kept && !StateFolder::IsName(name)) {
    return call->Fail("a name of letters, digits, dot, dash and underscore is needed");
  }
  if (!is_kept && !name.empty()) {
    return call->Fail("this server keeps no states: leave the name out");
  }
  WithSandbox(call, [call, is_kept](const std::string& sandbox) {
    AskToWait(call, "persistence.export", In(sandbox, Json::object()),
              [call, sandbox, is_kept](const Json& report) {
                if (!is_kept && report["size"].get<int64_t>() > kMostInline) {
                  Ask(call, "blob.free", In(sandbox, {{"blobId", report["blobId"]}}),
                      [](const Json&) {});
                  return call->Fail("the state is larger than 8 MiB, and this server keeps none");
                }
                const auto bytes = std::make_shared<std::string>();
                TakeBlob(call, sandbox, report, bytes,
                         [call, bytes, report] { FinishExport(call, *bytes, report); });
              });
  });
}

void ImportState(const ToolCallPtr& call) {
  const std::string name = call->arguments.value("name", "");
  std::shared_ptr<const std::string> bytes;
  if (!name.empty()) {
    if (!call->session.states()) return call->Fail("this server keeps no states");
    if (!StateFolder::IsName(name)) return call->Fail("no name of a state: " + name);
    Result<std::string> read = call->session.states()->Read(name);
    if (!read) return call->Fail(read.error().ToString());
    bytes = std::make_shared<const std::string>(std::move(*read));
  } else {
    auto given = rpc::DecodeBase64(call->arguments.value("data", ""));
    if (!given || given->empty()) return call->Fail("a name or data (base64) is needed");
    bytes = std::make_shared<const std::string>(std::move(*given));
  }
  WithSandbox(call, [call, bytes](const std::string& sandbox) {
    GiveBlob(call, sandbox, bytes, 0, 0, [call, sandbox](int64_t blob) {
      if (call->is_over()) {
        Ask(call, "blob.free", In(sandbox, {{"blobId", blob}}), [](const Json&) {});
        return;
      }
      AskToWait(
          call, "persistence.import",
          In(sandbox, {{"blobId", blob}, {"mode", call->arguments.value("mode", "replace")}}),
          [call](const Json& report) {
            call->Reply({{"entries", report["entries"]}, {"skipped", NamesOf(report["skipped"])}});
          });
    });
  });
}

void SaveState(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    Ask(call, "persistence.save", In(sandbox, Json::object()),
        [call](const Json& saved) { call->Reply({{"changed", saved["changed"]}}); });
  });
}

void LoadState(const ToolCallPtr& call) {
  WithSandbox(call, [call](const std::string& sandbox) {
    AskToWait(call, "persistence.load", In(sandbox, Json::object()), [call](const Json& report) {
      call->Reply({{"loaded", report["loaded"]},
                   {"skipped", NamesOf(report.value("skipped", Json::array()))}});
    });
  });
}

void ListSaved(const ToolCallPtr& call) {
  Ask(call, "persistence.list", Json::object(), [call](const Json& list) {
    Json namespaces = Json::array();
    for (const Json& one : list["namespaces"]) {
      Json told = {{"namespace", one["namespace"]},
                   {"size_bytes", one["sizeBytes"]},
                   {"saved_ms", one["savedMs"]},
                   {"in_use", one["inUse"]}};
      if (one.contains("sandboxId")) told["sandbox_id"] = one["sandboxId"];
      namespaces.push_back(std::move(told));
    }
    call->Reply({{"namespaces", std::move(namespaces)}});
  });
}

void DeleteSaved(const ToolCallPtr& call) {
  const Json name = call->arguments["namespace"];
  Ask(call, "persistence.delete", {{"namespace", name}},
      [call, name](const Json&) { call->Reply({{"deleted", name}}); });
}

constexpr Tool kTools[] = {
#define TOOL(name, handler, where, title, description, annotations, input, output) \
  {#name, handler, Tool::where, title, description, annotations, input, output},
#include "mcp/tools.def"
#undef TOOL
};

}  // namespace

std::span<const Tool> Tools() {
  return kTools;
}

}  // namespace cordon::mcp
