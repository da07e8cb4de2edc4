#include "rpc/state_flow.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "rpc/base64.h"
#include "rpc/session_state.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr int64_t kPatienceMs = 60'000;
constexpr int64_t kMostState = int64_t{2} << 20;
constexpr const char* kRestoreFile = "/run/cordon/session";

bool RefuseIfFailed(const Frame& answer, const Refuse& refuse) {
  if (answer.kind == Kind::kDead) {
    refuse({kSandboxError, answer.payload, {}});
  } else if (answer.arg[0] < 0) {
    refuse(ErrorOf(static_cast<int>(-answer.arg[0]), answer.payload));
  } else {
    return false;
  }
  return true;
}

struct ShellAnswer {
  int64_t status = 0;
  std::string output;
  std::string error;
};

// In the session's shell, by who has the turn; not part of its history.
void AskSession(const std::shared_ptr<Sandbox>& sandbox, const std::string& script, int64_t flags,
                std::function<void(const ShellAnswer&)> then, Refuse refuse) {
  auto answer = std::make_shared<ShellAnswer>();
  sandbox->link->Ask(
      {Kind::kRun,
       0,
       {kPatienceMs, kMostState, kMostState, live::kUnrecorded | live::kInTurn | flags},
       script},
      [answer, then = std::move(then), refuse = std::move(refuse)](const Frame& frame) {
        if (frame.kind == Kind::kOutput) {
          (frame.arg[0] == 1 ? answer->output : answer->error) += frame.payload;
          return false;
        }
        if (frame.kind == Kind::kTaken) return false;
        if (frame.kind == Kind::kEnd) {
          answer->status = frame.arg[0];
          then(*answer);
        } else {
          refuse({kSandboxError, frame.payload, {}});
        }
        return true;
      });
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
    PutText(entry, "command", command);
    entries.push_back(std::move(entry));
  }
  return entries;
}

// The payload of kExportImage.
std::string ConfigOf(SessionState state) {
  Json environment = Json::array();
  // A configuration is JSON: what is no UTF-8 is in the session's state alone.
  for (const std::string& variable : state.environment) {
    Json probe = Json::object();
    PutText(probe, "v", variable);
    if (!probe.contains("vBase64")) environment.push_back(variable);
  }
  Json directory = Json::object();
  PutText(directory, "v", state.directory);
  const Json config = {{"environment", std::move(environment)},
                       {"directory", directory["v"]},
                       {"session", std::move(state.session)}};
  return config.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void AddLines(Json* report, const std::string& text) {
  constexpr size_t kMostLines = 100;
  Json& skipped = (*report)["skipped"];
  for (size_t at = 0; at < text.size() && skipped.size() < kMostLines;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    Json line = Json::object();
    PutText(line, "v", "session: " + text.substr(at, end - at));
    skipped.push_back(line["v"]);
    at = end + 1;
  }
}

void HearOfTurn(const Sandbox& sandbox, const Frame& answer,
                const std::function<void(const Turn&)>& then, const Refuse& refuse) {
  if (RefuseIfFailed(answer, refuse)) return;
  then(Turn(nullptr, [link = sandbox.link, id = answer.id](void*) {
    link->Tell({Kind::kEndTurn, id, {}, {}});
  }));
}

// The files are there: the shell is told by a script.
void RunRestoreScript(const std::shared_ptr<Sandbox>& sandbox, const Turn& turn, const Json& report,
                      const Json& session, bool replaces,
                      const std::function<void(const Json&)>& then, const Refuse& refuse) {
  const auto finish = [=](const ShellAnswer& answer) {
    sandbox->link->Ask({Kind::kRemove, 0, {}, std::string(kRestoreFile) + '\0'},
                       [](const Frame&) { return true; });
    Json told = report;
    AddLines(&told, answer.error);
    AskKeeper(
        sandbox, {Kind::kSetHistory, 0, {}, HistoryPayload(session.value("history", Json()))},
        [turn, told, then](const Frame&) { then(told); }, refuse);
  };
  const auto run = [=](const Frame&) {
    AskSession(sandbox, std::string("\\__cordon_builtin . ") + kRestoreFile + " >/dev/null",
               replaces ? live::kInNewShell : 0, finish, refuse);
  };
  AskKeeper(sandbox,
            {Kind::kWriteFile,
             0,
             {static_cast<int64_t>(live::WriteMode::kReplace), 0600},
             std::string(kRestoreFile) + '\0' + RestoreScript(session)},
            run, refuse);
}

}  // namespace

Refuse RefusalOf(const CallPtr& call) {
  return [call](const RpcError& error) { call->Refuse(error); };
}

void AskKeeper(const std::shared_ptr<Sandbox>& sandbox, Frame frame,
               std::function<void(const Frame&)> then, Refuse refuse) {
  sandbox->link->Ask(std::move(frame),
                     [then = std::move(then), refuse = std::move(refuse)](const Frame& answer) {
                       if (!RefuseIfFailed(answer, refuse)) then(answer);
                       return true;
                     });
}

void TakeTurn(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
              std::function<void(const Turn&)> then, Refuse refuse) {
  const uint32_t asked = sandbox->link->Ask(
      {Kind::kTakeTurn, 0, {}, {}},
      [sandbox, then = std::move(then), refuse = std::move(refuse)](const Frame& answer) {
        sandbox->running.erase(answer.id);
        HearOfTurn(*sandbox, answer, then, refuse);
        return true;
      });
  sandbox->running[asked] = {call->client.get(), call->request.id};
}

void TakeTurnBetweenCommands(const std::shared_ptr<Sandbox>& sandbox,
                             std::function<void(const Turn&)> then, std::function<void()> busy,
                             Refuse refuse) {
  sandbox->link->Ask({Kind::kTakeTurn, 0, {1}, {}},
                     [sandbox, then = std::move(then), busy = std::move(busy),
                      refuse = std::move(refuse)](const Frame& answer) {
                       if (answer.kind == Kind::kAnswer && answer.arg[0] == -EBUSY) {
                         busy();
                       } else {
                         HearOfTurn(*sandbox, answer, then, refuse);
                       }
                       return true;
                     });
}

void CaptureInTurn(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, StateTaker then,
                   const Refuse& refuse) {
  TakeTurn(
      call, sandbox,
      [sandbox, then = std::move(then), refuse](const Turn& turn) {
        CaptureState(sandbox, turn, then, refuse);
      },
      refuse);
}

void CaptureState(const std::shared_ptr<Sandbox>& sandbox, const Turn& turn, StateTaker then,
                  const Refuse& refuse) {
  const auto take = [sandbox, turn, then = std::move(then), refuse](const ShellAnswer& answer) {
    std::optional<SessionState> state = ReadCapture(answer.output);
    if (!state) {
      return refuse({kSandboxError, "The session's shell did not say what it knows", {}});
    }
    AskKeeper(
        sandbox, {Kind::kHistory, 0, {0}, {}},
        [state = std::move(*state), then, turn](const Frame& history) mutable {
          state.session["history"] = HistoryOf(history);
          then(ConfigOf(std::move(state)), turn);
        },
        refuse);
  };
  AskSession(sandbox, CaptureScript(), 0, take, refuse);
}

void RestoreState(const std::shared_ptr<Sandbox>& sandbox, const Turn& turn, Json report,
                  bool replaces, const std::function<void(const Json&)>& then,
                  const Refuse& refuse) {
  const Json session = report.value("session", Json());
  for (const char* member : {"session", "environment", "directory", "size"}) report.erase(member);
  if (!session.is_object()) return then(report);
  RunRestoreScript(sandbox, turn, report, session, replaces, then, refuse);
}

Json ParseReport(const std::string& payload) {
  Json report = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  return report.is_object() ? report : Json::object();
}

}  // namespace cordon::rpc
