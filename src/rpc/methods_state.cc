// Methods about trees and whole sandboxes: archives in and out, export and import. Archives are
// kept and read by the sandbox's keeper; only pieces of them pass here.

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "rpc/base64.h"
#include "rpc/call.h"
#include "rpc/session_state.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr int64_t kMostAtOnce = int64_t{4} << 20;
constexpr int64_t kPatienceMs = 60'000;
constexpr int64_t kMostState = int64_t{2} << 20;
constexpr const char* kRestoreFile = "/run/cordon/session";

// Asks the sandbox; `then` hears what it answered if that is no error.
void AskKeeper(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, Frame frame,
               std::function<void(const Frame&)> then) {
  sandbox->link->Ask(std::move(frame), [call, then = std::move(then)](const Frame& answer) {
    if (answer.kind == Kind::kDead) {
      call->Refuse({kSandboxError, answer.payload, {}});
    } else if (answer.arg[0] < 0) {
      call->RefuseErrno(static_cast<int>(-answer.arg[0]), answer.payload);
    } else {
      then(answer);
    }
    return true;
  });
}

struct ShellAnswer {
  int64_t status = 0;
  std::string output;
  std::string error;
};

// In the session's shell, after what it runs now; not part of its history.
void AskSession(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
                const std::string& script, std::function<void(const ShellAnswer&)> then) {
  auto answer = std::make_shared<ShellAnswer>();
  sandbox->link->Ask(
      {Kind::kRun, 0, {kPatienceMs, kMostState, kMostState, live::kUnrecorded}, script},
      [call, answer, then = std::move(then)](const Frame& frame) {
        if (frame.kind == Kind::kOutput) {
          (frame.arg[0] == 1 ? answer->output : answer->error) += frame.payload;
          return false;
        }
        if (frame.kind == Kind::kTaken) return false;
        if (frame.kind == Kind::kEnd) {
          answer->status = frame.arg[0];
          then(*answer);
        } else {
          call->Refuse({kSandboxError, frame.payload, {}});
        }
        return true;
      });
}

Json ParseReport(const std::string& payload) {
  Json report = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  return report.is_object() ? report : Json::object();
}

void ReplyWithBlob(const CallPtr& call, const Frame& answer) {
  Json report = ParseReport(answer.payload);
  report["blobId"] = answer.arg[0];
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
  const auto bytes = call->Bytes("data");
  if (!bytes) return;
  if (bytes->empty()) {
    return call->Refuse({kInvalidParams, "Missing required param: blobId or dataBase64", {}});
  }
  AskKeeper(call, sandbox, {Kind::kBlobWrite, 0, {0}, *bytes},
            [then = std::move(then)](const Frame& answer) { then(answer.arg[0]); });
}

std::string HistoryPayload(const Json& history) {
  std::string payload;
  if (!history.is_array()) return payload;
  for (const Json& entry : history) {
    if (!entry.is_object()) continue;
    const auto command = entry.find("command");
    const auto time = entry.find("timestamp");
    if (command == entry.end() || !command->is_string()) continue;
    const std::string text = command->get<std::string>();
    if (text.find('\0') != std::string::npos) continue;
    const int64_t seconds =
        time != entry.end() && time->is_number_integer() ? time->get<int64_t>() / 1000 : 0;
    payload.append(reinterpret_cast<const char*>(&seconds), sizeof seconds);
    payload += text + '\0';
  }
  return payload;
}

Json HistoryOf(const Frame& answer) {
  live::PayloadReader reader(answer.payload);
  Json entries = Json::array();
  int64_t seconds = 0;
  std::string command;
  while (reader.Take(&seconds) && reader.TakeString(&command)) {
    Json entry = {{"timestamp", seconds * 1000}};
    PutBytes(entry, "command", command);
    entries.push_back(std::move(entry));
  }
  return entries;
}

void Export(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, SessionState state) {
  Json environment = Json::array();
  // A configuration is JSON: what is no UTF-8 is in the session's state alone.
  for (const std::string& variable : state.environment) {
    Json probe = Json::object();
    PutBytes(probe, "v", variable);
    if (!probe.contains("vBase64")) environment.push_back(variable);
  }
  Json directory = Json::object();
  PutBytes(directory, "v", state.directory);
  const Json config = {{"environment", std::move(environment)},
                       {"directory", directory["v"]},
                       {"session", std::move(state.session)}};
  AskKeeper(
      call, sandbox,
      {Kind::kExportImage, 0, {}, config.dump(-1, ' ', false, Json::error_handler_t::replace)},
      [call](const Frame& answer) { ReplyWithBlob(call, answer); });
}

void AddLines(Json* report, const std::string& text) {
  constexpr size_t kMostLines = 100;
  Json& skipped = (*report)["skipped"];
  for (size_t at = 0; at < text.size() && skipped.size() < kMostLines;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    Json line = Json::object();
    PutBytes(line, "v", "session: " + text.substr(at, end - at));
    skipped.push_back(line["v"]);
    at = end + 1;
  }
}

// The files are there: the shell is told what the other one knew.
void RestoreSession(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, Json report,
                    bool replaces) {
  const Json session = report.value("session", Json());
  for (const char* member : {"session", "environment", "directory", "size"}) report.erase(member);
  if (!session.is_object()) return call->Reply(report);
  const auto restore = [call, sandbox, report, session](const ShellAnswer&) {
    const std::string script = RestoreScript(session);
    AskKeeper(
        call, sandbox,
        {Kind::kWriteFile,
         0,
         {static_cast<int64_t>(live::WriteMode::kReplace), 0600},
         std::string(kRestoreFile) + '\0' + script},
        [call, sandbox, report, session](const Frame&) {
          AskSession(
              call, sandbox, std::string("builtin . ") + kRestoreFile + " >/dev/null",
              [call, sandbox, report, session](const ShellAnswer& answer) {
                sandbox->link->Ask({Kind::kRemove, 0, {}, std::string(kRestoreFile) + '\0'},
                                   [](const Frame&) { return true; });
                Json told = report;
                AddLines(&told, answer.error);
                AskKeeper(
                    call, sandbox,
                    {Kind::kSetHistory, 0, {}, HistoryPayload(session.value("history", Json()))},
                    [call, told](const Frame&) { call->Reply(told); });
              });
        });
  };
  // A new shell knows nothing of what this one was told.
  if (replaces) return AskSession(call, sandbox, "builtin exit 0", restore);
  restore({});
}

}  // namespace

void BlobWrite(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  const auto bytes = call->Bytes("data");
  if (!bytes) return;
  AskKeeper(call, sandbox, {Kind::kBlobWrite, 0, {*id}, *bytes},
            [call](const Frame& answer) { call->Reply({{"blobId", answer.arg[0]}}); });
}

void BlobRead(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  const auto offset = call->Number("offset", 0, 0, int64_t{1} << 50);
  if (!offset) return;
  const auto length = call->Number("length", kMostAtOnce, 0, int64_t{1} << 50);
  if (!length) return;
  AskKeeper(call, sandbox, {Kind::kBlobRead, 0, {*id, *offset, std::min(*length, kMostAtOnce)}, {}},
            [call](const Frame& answer) {
              call->Reply(
                  {{"dataBase64", EncodeBase64(answer.payload)}, {"size", answer.payload.size()}});
            });
}

void BlobFree(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto id = call->Number("blobId", 0, 0, INT64_MAX / 2);
  if (!id) return;
  AskKeeper(call, sandbox, {Kind::kBlobFree, 0, {*id}, {}},
            [call](const Frame&) { call->Reply(Json::object()); });
}

void FilesPack(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto path = call->Path("path");
  if (!path) return;
  AskKeeper(call, sandbox, {Kind::kPackTree, 0, {}, *path},
            [call](const Frame& answer) { ReplyWithBlob(call, answer); });
}

void FilesUnpack(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto path = call->Path("path");
  if (!path) return;
  WithBlob(call, sandbox, [call, sandbox, path](int64_t id) {
    AskKeeper(call, sandbox, {Kind::kUnpackTree, 0, {id}, *path}, [call](const Frame& answer) {
      Json report = ParseReport(answer.payload);
      report.erase("size");
      call->Reply(report);
    });
  });
}

void PersistenceExport(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  AskSession(call, sandbox, CaptureScript(), [call, sandbox](const ShellAnswer& answer) {
    std::optional<SessionState> state = ReadCapture(answer.output);
    if (!state) {
      return call->Refuse({kSandboxError, "The session's shell did not say what it knows", {}});
    }
    AskKeeper(call, sandbox, {Kind::kHistory, 0, {0}, {}},
              [call, sandbox, state = std::move(*state)](const Frame& history) mutable {
                state.session["history"] = HistoryOf(history);
                Export(call, sandbox, std::move(state));
              });
  });
}

void PersistenceImport(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const std::string mode = call->Has("mode") ? call->Text("mode").value_or("?") : "replace";
  if (mode == "?") return;
  if (mode != "replace" && mode != "merge") {
    return call->Refuse({kInvalidParams, "Param must be \"replace\" or \"merge\": mode", {}});
  }
  const bool replaces = mode == "replace";
  WithBlob(call, sandbox, [call, sandbox, replaces](int64_t id) {
    AskKeeper(call, sandbox, {Kind::kImportImage, 0, {id, replaces ? 0 : 1}, {}},
              [call, sandbox, replaces](const Frame& answer) {
                RestoreSession(call, sandbox, ParseReport(answer.payload), replaces);
              });
  });
}

}  // namespace cordon::rpc
