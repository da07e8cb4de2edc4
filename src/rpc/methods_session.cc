// Methods about what the session's shell knows: variables and history.

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rpc/call.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// A variable of the session is set and read by its shell.
void AskShell(const CallPtr& call, const std::string& script,
              std::function<void(int64_t, const std::string&)> then) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  constexpr int64_t kPatienceMs = 30'000;
  constexpr int64_t kMost = 1 << 20;
  auto output = std::make_shared<std::string>();
  sandbox->link->Ask({Kind::kRun, 0, {kPatienceMs, kMost, kMost, live::kUnrecorded}, script},
                     [call, output, then = std::move(then)](const Frame& frame) {
                       if (frame.kind == Kind::kOutput && frame.arg[0] == 1)
                         *output += frame.payload;
                       if (frame.kind == Kind::kOutput) return false;
                       if (frame.kind == Kind::kEnd) {
                         then(frame.arg[0], *output);
                       } else {
                         call->Refuse({kSandboxError, frame.payload, {}});
                       }
                       return true;
                     });
}

std::optional<std::string> ReadName(const CallPtr& call) {
  auto name = call->Text("name");
  if (!name) return name;
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool fits =
      !name->empty() && is_letter((*name)[0]) &&
      std::ranges::all_of(*name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
  if (fits) return name;
  call->Refuse({kInvalidParams, "Invalid environment variable name: '" + *name + "'", {}});
  return std::nullopt;
}

}  // namespace

void EnvSet(const CallPtr& call) {
  const auto name = ReadName(call);
  if (!name) return;
  const auto value = call->Text("value");
  if (!value) return;
  AskShell(call, "\\__cordon_builtin export " + *name + "=" + Quoted(*value),
           [call, name](int64_t status, const std::string&) {
             if (status == 0) return call->Reply(Json::object());
             call->Refuse({kSandboxError, "The shell refused to set " + *name, {}});
           });
}

void EnvGet(const CallPtr& call) {
  const auto name = ReadName(call);
  if (!name) return;
  // What a trap of the session prints is no part of it.
  AskShell(call,
           "{ [[ -v " + *name + " ]] && \\__cordon_builtin printf '%s\\0' \"$" + *name +
               "\" >&9; } 9>&1 >/dev/null",
           [call](int64_t status, const std::string& output) {
             Json result = {{"value", nullptr}};
             if (status == 0) PutBytes(result, "value", output.substr(0, output.find('\0')));
             call->Reply(result);
           });
}

void HistoryList(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  sandbox->link->Ask({Kind::kHistory, 0, {0}, {}}, [call](const Frame& frame) {
    if (frame.kind != Kind::kAnswer) {
      call->Refuse({kSandboxError, frame.payload, {}});
      return true;
    }
    live::PayloadReader reader(frame.payload);
    Json entries = Json::array();
    int64_t seconds = 0;
    std::string command;
    for (auto index = frame.arg[0]; reader.Take(&seconds) && reader.TakeString(&command); ++index) {
      Json entry = {{"index", index}, {"timestamp", seconds * 1000}};
      PutBytes(entry, "command", command);
      entries.push_back(std::move(entry));
    }
    call->Reply({{"entries", entries}});
    return true;
  });
}

void HistoryClear(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  sandbox->link->Ask({Kind::kHistory, 0, {1}, {}}, [call](const Frame& frame) {
    if (frame.kind == Kind::kAnswer) {
      call->Reply(Json::object());
    } else {
      call->Refuse({kSandboxError, frame.payload, {}});
    }
    return true;
  });
}

}  // namespace cordon::rpc
