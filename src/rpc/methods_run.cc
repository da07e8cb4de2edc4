// Methods that run commands.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc/audit.h"
#include "rpc/call.h"
#include "rpc/packages.h"

namespace cordon::rpc {
namespace {

using live::EndClass;
using live::Frame;
using live::Kind;

constexpr int64_t kMaxMilliseconds = int64_t{1} << 40;
constexpr int64_t kMaxOutput = int64_t{1} << 40;
constexpr size_t kInputPiece = 256 * 1024;
constexpr size_t kMaxArguments = 10'000;
constexpr int64_t kMostLines = 65'535;
constexpr int64_t kLastSignal = 64;

const char* StreamName(int64_t stream) {
  return stream == 1 ? "stdout" : "stderr";
}

const char* ClassName(EndClass end_class) {
  switch (end_class) {
    case EndClass::kTimeout:
      return "TIMEOUT";
    case EndClass::kCancelled:
      return "CANCELLED";
    case EndClass::kLimit:
      return "LIMIT_EXCEEDED";
    case EndClass::kDenied:
      return "CAPABILITY_DENIED";
    case EndClass::kNone:
      return nullptr;
  }
  return nullptr;
}

// What is known of a command that goes on.
struct Going {
  CallPtr call;  // null for a process
  std::weak_ptr<Client> client;
  std::shared_ptr<Sandbox> sandbox;
  Json name;  // of the request or process, in notifications
  const char* name_key = "requestId";
  bool streams = false;
  std::string output[2];
  int64_t owed[2] = {0, 0};  // bytes of each stream that the keeper does not know are welcome
  std::string command;       // as events show it
};

// What events say of it.
Json AboutCommand(const Going& going) {
  return {{going.name_key, going.name}, {"command", going.command}};
}

void AuditStart(Going* going, const std::string& command) {
  if (!going->sandbox->is_audited) return;
  going->command = AuditText(command);
  Audit(*going->sandbox, "command.start", AboutCommand(*going));
}

// What a run used; zeros if it never ran.
Json UsageOf(const Frame& end) {
  live::RunFigures figures = {};
  live::PayloadReader reader(end.payload);
  if (!reader.Take(&figures)) figures = {};
  return {{"cpuMs", static_cast<double>(figures.used.cpu_ns) / 1e6},
          {"memoryPeakBytes", figures.used.memory_peak_bytes},
          {"processes", figures.used.processes},
          {"stdoutBytes", figures.output_bytes[0]},
          {"stderrBytes", figures.output_bytes[1]},
          {"fileReadBytes", figures.used.file_read_bytes},
          {"fileWrittenBytes", figures.used.file_written_bytes}};
}

// `end` is what the keeper decided, or kDead.
void AuditEnd(const Going& going, const Frame& end) {
  if (!going.sandbox->is_audited) return;
  Json details = AboutCommand(going);
  if (end.kind != Kind::kEnd) {
    details["error"] = end.payload;
    return Audit(*going.sandbox, "command.cancelled", std::move(details));
  }
  for (const auto& [bit, limit] : {std::pair{2, "stdoutBytes"}, std::pair{4, "stderrBytes"}}) {
    if ((end.arg[3] & bit) == 0) continue;
    Json exceeded = AboutCommand(going);
    exceeded["limit"] = limit;
    Audit(*going.sandbox, "limit.exceeded", std::move(exceeded));
  }
  details["exitCode"] = end.arg[0];
  details["executionTimeMs"] = static_cast<double>(end.arg[4]) / 1000.0;
  details["usage"] = UsageOf(end);
  const auto end_class = static_cast<EndClass>(end.arg[2]);
  if (const char* name = ClassName(end_class)) details["errorClass"] = name;
  Audit(*going.sandbox,
        end_class == EndClass::kTimeout     ? "command.timeout"
        : end_class == EndClass::kCancelled ? "command.cancelled"
                                            : "command.complete",
        std::move(details));
}

Json EndOf(const Frame& end) {
  Json result = {
      {"exitCode", end.arg[0]},
      {"executionTimeMs", static_cast<double>(end.arg[4]) / 1000.0},
      {"truncated", {{"stdout", (end.arg[3] & 2) != 0}, {"stderr", (end.arg[3] & 4) != 0}}},
      {"usage", UsageOf(end)}};
  if (end.arg[1] != 0) result["signal"] = end.arg[1];
  auto end_class = static_cast<EndClass>(end.arg[2]);
  if (end_class == EndClass::kNone && end.arg[3] != 0) end_class = EndClass::kLimit;
  if (const char* name = ClassName(end_class)) result["errorClass"] = name;
  return result;
}

// So many more bytes may come. A keeper that is told at every line wakes for each, and is in the
// way of the command that it runs.
void Welcome(Going* going, uint32_t run, int64_t stream, int64_t bytes) {
  constexpr int64_t kWorthTelling = live::kFirstCredit / 8;
  int64_t& owed = going->owed[stream - 1];
  owed += bytes;
  if (owed < kWorthTelling) return;
  going->sandbox->link->Tell({Kind::kCredit, run, {stream, std::exchange(owed, 0)}, {}});
}

void TakeOutput(const std::shared_ptr<Going>& going, const Frame& frame) {
  const int64_t stream = frame.arg[0] == 2 ? 2 : 1;
  const auto size = static_cast<int64_t>(frame.payload.size());
  if (!going->streams) {
    going->output[stream - 1] += frame.payload;
    return Welcome(going.get(), frame.id, stream, size);
  }
  const auto client = going->client.lock();
  if (client == nullptr) return;
  Json params = {{going->name_key, going->name}, {"stream", StreamName(stream)}};
  PutBytes(params, "data", frame.payload);
  client->Send(NotificationMessage("output", params));
  client->WhenTaken(
      [going, run = frame.id, stream, size] { Welcome(going.get(), run, stream, size); });
}

void FinishCall(const Going& going, const Frame& end) {
  Json result = EndOf(end);
  std::string error = going.output[1];
  const auto end_class = static_cast<EndClass>(end.arg[2]);
  if (end_class == EndClass::kTimeout) error += "command timeout\n";
  if (end_class == EndClass::kCancelled) error += "command cancelled\n";
  PutBytes(result, "stdout", going.output[0]);
  PutBytes(result, "stderr", error);
  going.call->Reply(result);
}

void FinishProcess(const Going& going, const Frame& frame) {
  const auto client = going.client.lock();
  if (client == nullptr) return;
  Json params =
      frame.kind == Kind::kEnd ? EndOf(frame) : Json{{"exitCode", -1}, {"error", frame.payload}};
  params["processId"] = going.name;
  client->Send(NotificationMessage("exit", params));
  const auto found = client->processes.find(going.name.get<uint32_t>());
  if (found == client->processes.end()) return;
  for (auto& write : std::exchange(found->second->writes, {})) write.done(false);
  client->processes.erase(found);
}

void TakeTaken(const Going& going, const Frame& frame) {
  const auto client = going.client.lock();
  if (client == nullptr || going.call) return;
  const auto found = client->processes.find(going.name.get<uint32_t>());
  if (found == client->processes.end()) return;
  auto& writes = found->second->writes;
  if (frame.arg[0] < 0) {
    for (auto& write : std::exchange(writes, {})) write.done(false);
    return;
  }
  int64_t taken = frame.arg[0];
  while (taken > 0 && !writes.empty()) {
    const int64_t part = std::min(taken, writes.front().left);
    taken -= part;
    writes.front().left -= part;
    if (writes.front().left > 0) break;
    const auto done = std::move(writes.front().done);
    writes.erase(writes.begin());
    done(true);
  }
}

bool TakeFrame(const std::shared_ptr<Going>& going, const Frame& frame) {
  switch (frame.kind) {
    case Kind::kOutput:
      TakeOutput(going, frame);
      return false;
    case Kind::kTaken:
      TakeTaken(*going, frame);
      return false;
    case Kind::kEnd:
      going->sandbox->running.erase(frame.id);
      AuditEnd(*going, frame);
      if (going->call) {
        FinishCall(*going, frame);
      } else {
        FinishProcess(*going, frame);
      }
      return true;
    default:
      AuditEnd(*going, frame);
      if (going->call) {
        going->call->Refuse({kSandboxError, frame.payload, {}});
      } else {
        FinishProcess(*going, frame);
      }
      return true;
  }
}

void SendInput(const std::shared_ptr<Sandbox>& sandbox, uint32_t run, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size(); done += kInputPiece) {
    sandbox->link->Tell({Kind::kInput, run, {}, bytes.substr(done, kInputPiece)});
  }
}

// Time-out and limits of output, the same for all.
bool ReadLimits(const CallPtr& call, const Sandbox& sandbox, Frame* frame) {
  const auto timeout = call->Number("timeoutMs", sandbox.limits.timeout_ms, 0, kMaxMilliseconds);
  if (!timeout) return false;
  const auto out = call->Number("stdoutBytes", sandbox.limits.stdout_bytes, 0, kMaxOutput);
  if (!out) return false;
  const auto error = call->Number("stderrBytes", sandbox.limits.stderr_bytes, 0, kMaxOutput);
  if (!error) return false;
  frame->arg[0] = *timeout;
  frame->arg[1] = *out;
  frame->arg[2] = *error;
  return true;
}

bool ReadCommand(const CallPtr& call, Frame* frame) {
  const Json& params = call->request.params;
  std::string directory;
  if (call->HasName("cwd")) {
    const auto given = call->Path("cwd");
    if (!given) return false;
    directory = *given;
  }
  frame->payload = directory + '\0';
  const auto add = [&](const std::string& text) {
    frame->payload += text + '\0';
    return text.find('\0') == std::string::npos;
  };
  const auto argv = params.find("argv");
  bool fits =
      argv != params.end() && argv->is_array() && !argv->empty() && argv->size() <= kMaxArguments;
  for (size_t i = 0; fits && i < argv->size(); ++i) {
    fits = (*argv)[i].is_string() && add((*argv)[i].get<std::string>());
  }
  if (!fits) {
    call->Refuse({kInvalidParams,
                  "Param must be an array of 1 to " + std::to_string(kMaxArguments) +
                      " strings without zero bytes: argv",
                  {}});
    return false;
  }
  frame->arg[4] = static_cast<int64_t>(argv->size());
  const Json variables = params.value("env", Json::object());
  fits = variables.is_object();
  if (fits) {
    for (const auto& [name, value] : variables.items()) {
      fits = fits && value.is_string() && !name.empty() && name.find('=') == std::string::npos &&
             add(name + "=" + value.get<std::string>());
    }
    frame->arg[5] = static_cast<int64_t>(variables.size());
  }
  if (!fits) call->Refuse({kInvalidParams, "Param must be an object of strings: env", {}});
  return fits;
}

bool ReadTerminal(const CallPtr& call, Frame* frame) {
  const Json terminal = call->request.params.value("terminal", Json());
  if (terminal.is_null()) return true;
  if (!terminal.is_object()) {
    call->Refuse({kInvalidParams, "Param must be an object: terminal", {}});
    return false;
  }
  for (const auto& [name, value] : terminal.items()) {
    if (name == "rows" || name == "columns") continue;
    call->Refuse({kInvalidParams, "Unknown member of terminal: " + name, {}});
    return false;
  }
  const auto rows = call->NumberOf(terminal, "rows", 24, 1, kMostLines);
  if (!rows) return false;
  const auto columns = call->NumberOf(terminal, "columns", 80, 1, kMostLines);
  if (!columns) return false;
  frame->arg[3] |= live::kHasTerminal;
  frame->arg[6] = *rows;
  frame->arg[7] = *columns;
  return true;
}

// Of exec and spawn, for events.
std::string JoinArguments(const CallPtr& call) {
  std::string text;
  for (const Json& argument : call->request.params["argv"]) {
    text += (text.empty() ? "" : " ") + argument.get<std::string>();
  }
  return text;
}

// A buffered command, or one whose output streams.
void StartCall(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, Frame frame) {
  const auto input = call->Bytes("stdin", Call::Need::kMayBeMissing);
  if (!input) return;
  const auto streams = call->Flag("stream");
  if (!streams) return;
  auto going = std::make_shared<Going>();
  going->call = call;
  going->client = call->client;
  going->sandbox = sandbox;
  going->name = call->request.id;
  going->streams = *streams;
  if (!input->empty()) frame.arg[3] |= live::kHasInput;
  AuditStart(going.get(), frame.kind == Kind::kRun ? frame.payload : JoinArguments(call));
  const uint32_t run = sandbox->link->Ask(
      std::move(frame), [going](const Frame& answer) { return TakeFrame(going, answer); });
  sandbox->running[run] = {call->client.get(), call->request.id};
  if (input->empty()) return;
  SendInput(sandbox, run, *input);
  sandbox->link->Tell({Kind::kCloseInput, run, {}, {}});
}

struct Target {
  std::shared_ptr<Process> process;
  std::shared_ptr<Sandbox> sandbox;
};

std::optional<Target> TheProcess(const CallPtr& call) {
  const auto id = call->Number("processId", 0, 0, UINT32_MAX);
  if (!id) return std::nullopt;
  const auto found = call->client->processes.find(static_cast<uint32_t>(*id));
  std::shared_ptr<Sandbox> sandbox;
  if (found != call->client->processes.end()) sandbox = found->second->sandbox.lock();
  if (!sandbox) {
    call->Refuse({kInvalidParams, "Unknown processId: " + std::to_string(*id), {}});
    return std::nullopt;
  }
  return Target{found->second, std::move(sandbox)};
}

void TellProcess(const CallPtr& call, Kind kind, std::array<int64_t, live::kArguments> arguments) {
  const auto target = TheProcess(call);
  if (!target) return;
  target->sandbox->link->Tell({kind, target->process->run, arguments, {}});
  call->Reply(Json::object());
}

// A number, or a name with or without SIG; the sandbox has the numbers of signal(7).
std::optional<int64_t> SignalOf(const CallPtr& call) {
  const Json given = call->request.params.value("signal", Json());
  if (!given.is_string()) return call->Number("signal", SIGTERM, 1, kLastSignal);
  std::string_view name = given.get_ref<const std::string&>();
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number < SIGRTMIN; ++number) {
    const char* known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  call->Refuse({kInvalidParams, "Param is the name of no signal: signal", {}});
  return std::nullopt;
}

}  // namespace

void Run(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto command = call->Text("command");
  if (!command) return;
  if (static_cast<int64_t>(command->size()) > sandbox->limits.command_bytes) {
    Audit(*sandbox, "limit.exceeded",
          {{"limit", "commandBytes"}, {"requestId", call->request.id}, {"bytes", command->size()}});
    return call->Reply({{"exitCode", 1},
                        {"stdout", ""},
                        {"stderr", "command too large\n"},
                        {"executionTimeMs", 0},
                        {"truncated", {{"stdout", false}, {"stderr", false}}},
                        {"usage", UsageOf({})},
                        {"errorClass", "LIMIT_EXCEEDED"}});
  }
  Frame frame = {Kind::kRun, 0, {}, *command};
  if (ReadLimits(call, *sandbox, &frame)) StartCall(call, sandbox, std::move(frame));
}

void Exec(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  Frame frame = {Kind::kSpawn, 0, {}, {}};
  if (sandbox && ReadLimits(call, *sandbox, &frame) && ReadCommand(call, &frame)) {
    StartCall(call, sandbox, std::move(frame));
  }
}

void Spawn(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  Frame frame = {Kind::kSpawn, 0, {}, {}};
  if (!sandbox || !ReadCommand(call, &frame)) return;
  const auto timeout = call->Number("timeoutMs", 0, 0, kMaxMilliseconds);
  if (!timeout) return;
  frame.arg[0] = *timeout;
  frame.arg[1] = frame.arg[2] = INT64_MAX;  // streams are taken as they come
  frame.arg[3] = live::kHasInput;
  if (!ReadTerminal(call, &frame)) return;
  const auto& client = call->client;
  auto going = std::make_shared<Going>();
  going->client = client;
  going->sandbox = sandbox;
  going->name = ++client->last_process;
  going->name_key = "processId";
  going->streams = true;
  auto process = std::make_shared<Process>();
  process->sandbox = sandbox;
  process->has_terminal = (frame.arg[3] & live::kHasTerminal) != 0;
  client->processes[client->last_process] = process;
  AuditStart(going.get(), JoinArguments(call));
  process->run = sandbox->link->Ask(
      std::move(frame), [going](const Frame& answer) { return TakeFrame(going, answer); });
  sandbox->running[process->run] = {client.get(), Json()};
  call->Reply({{"processId", client->last_process}});
}

void ProcessWrite(const CallPtr& call) {
  const auto target = TheProcess(call);
  if (!target) return;
  const auto bytes = call->Bytes("data");
  if (!bytes) return;
  if (bytes->empty()) return call->Reply(Json::object());
  target->process->writes.push_back({static_cast<int64_t>(bytes->size()), [call](bool went_on) {
                                       if (went_on) return call->Reply(Json::object());
                                       call->RefuseErrno(EPIPE, "nobody reads standard input");
                                     }});
  SendInput(target->sandbox, target->process->run, *bytes);
}

void ProcessClose(const CallPtr& call) {
  TellProcess(call, Kind::kCloseInput, {});
}

void ProcessSignal(const CallPtr& call) {
  const std::optional<int64_t> number = SignalOf(call);
  if (number) TellProcess(call, Kind::kSignal, {*number});
}

void ProcessResize(const CallPtr& call) {
  const auto rows = call->Number("rows", 24, 1, kMostLines);
  if (!rows) return;
  const auto columns = call->Number("columns", 80, 1, kMostLines);
  if (!columns) return;
  const auto target = TheProcess(call);
  if (!target) return;
  if (!target->process->has_terminal) {
    return call->RefuseErrno(ENOTTY, "the process has no terminal");
  }
  TellProcess(call, Kind::kResize, {*rows, *columns});
}

void ProcessKill(const CallPtr& call) {
  TellProcess(call, Kind::kCancel, {});
}

void Cancel(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const Json wanted = call->request.params.value("requestId", Json());
  int64_t count = 0;
  for (const auto& [run, running] : sandbox->running) {
    if (running.client != call->client.get() || running.request.is_null()) continue;
    if (!wanted.is_null() && wanted != running.request) continue;
    sandbox->link->Tell({Kind::kCancel, run, {}, {}});
    ++count;
  }
  if (sandbox->packages) {
    count += sandbox->packages->GiveUp([&](const Asker& asker) {
      return asker.client == call->client.get() && (wanted.is_null() || wanted == asker.request);
    });
  }
  call->Reply({{"cancelled", count}});
}

}  // namespace cordon::rpc
