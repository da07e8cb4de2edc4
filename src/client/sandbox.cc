// Commands, variables, forks and snapshots of one sandbox.

#include <utility>

#include "client/ask.h"
#include "cordon/sandbox.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
using client::Json;
using client::Then;

namespace {

void AddLimits(const RunOptions& options, Json* params) {
  if (options.timeout_ms) (*params)["timeoutMs"] = *options.timeout_ms;
  if (options.stdout_bytes) (*params)["stdoutBytes"] = *options.stdout_bytes;
  if (options.stderr_bytes) (*params)["stderrBytes"] = *options.stderr_bytes;
  if (!options.input.empty()) (*params)["stdin"] = client::BytesOf(options.input);
  if (options.on_output) (*params)["stream"] = true;
}

client::Manner MannerOf(const RunOptions& options) {
  client::Manner manner;
  if (options.on_output) manner.on_output = &options.on_output;
  manner.stop = options.stop;
  return manner;
}

template <typename Options>
Json CommandOf(const std::vector<std::string>& argv, const Options& options) {
  Json params = {{"argv", argv}};
  if (!options.env.empty()) params["env"] = options.env;
  if (!options.cwd.empty()) params["cwd"] = options.cwd;
  return params;
}

}  // namespace

Sandbox& Sandbox::operator=(Sandbox&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(id_, other.id_);
  std::swap(ends_with_this_, other.ends_with_this_);
  std::swap(loaded_, other.loaded_);
  std::swap(skipped_, other.skipped_);
  return *this;
}

Sandbox::~Sandbox() {
  if (connection_ && ends_with_this_) (void)Destroy();
}

Status Sandbox::Equip(const CreateOptions& options) {
  for (const auto& [path, source] : options.mounts) CORDON_TRY(Mount(path, source));
  if (!options.extensions.empty()) CORDON_TRY(RegisterExtensions(options.extensions));
  return {};
}

Result<CommandResult> Sandbox::Run(std::string_view script, const RunOptions& options) {
  Json params = {{"command", script}};
  AddLimits(options, &params);
  return Then(AskOf(connection_, id_, "run", std::move(params), MannerOf(options)),
              client::ResultOf);
}

Result<CommandResult> Sandbox::Exec(const std::vector<std::string>& argv,
                                    const ExecOptions& options) {
  Json params = CommandOf(argv, options);
  AddLimits(options, &params);
  return Then(AskOf(connection_, id_, "exec", std::move(params), MannerOf(options)),
              client::ResultOf);
}

Result<Process> Sandbox::Spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
  if (!connection_) return std::unexpected(client::Destroyed());
  Json params = CommandOf(argv, options);
  params["sandboxId"] = id_;
  params["timeoutMs"] = options.timeout_ms;
  if (options.terminal) {
    params["terminal"] = {{"rows", options.terminal->rows}, {"columns", options.terminal->columns}};
  }
  auto running = std::make_shared<client::Running>();
  running->on_output = options.on_output;
  if (const Status started = connection_->Spawn(std::move(params), running); !started) {
    return std::unexpected(started.error());
  }
  return Process(connection_, running);
}

Result<int> Sandbox::Cancel() {
  return Then(AskOf(connection_, id_, "cancel"),
              [](const Json& answer) { return answer.value("cancelled", 0); });
}

Status Sandbox::SetEnv(const std::string& name, const std::string& value) {
  return AskDone(connection_, id_, "env.set", {{"name", name}, {"value", value}});
}

Result<std::optional<std::string>> Sandbox::GetEnv(const std::string& name) {
  return Then(AskOf(connection_, id_, "env.get", {{"name", name}}),
              [](const Json& answer) -> std::optional<std::string> {
                if (answer.value("value", Json()).is_null()) return std::nullopt;
                return client::TextOf(answer, "value");
              });
}

Result<std::vector<HistoryEntry>> Sandbox::History() {
  return Then(AskOf(connection_, id_, "shell.history.list"), [](const Json& answer) {
    std::vector<HistoryEntry> entries;
    for (const Json& one : answer.value("entries", Json::array())) {
      entries.push_back({one.value("index", uint64_t{0}), client::TextOf(one, "command"),
                         one.value("timestamp", int64_t{0})});
    }
    return entries;
  });
}

Status Sandbox::ClearHistory() {
  return AskDone(connection_, id_, "shell.history.clear");
}

Result<Sandbox> Sandbox::Fork(bool detached) {
  if (!connection_) return std::unexpected(client::Destroyed());
  client::ExtensionHost::Forking forking(connection_->extensions());
  client::Manner manner;
  manner.known = [&](const Json& answer) {
    const std::string fork = answer.value("sandboxId", "");
    forking.Made(id_, fork);
    connection_->listeners().Inherit(id_, fork);
  };
  return Then(AskOf(connection_, id_, "sandbox.fork", {{"detached", detached}}, manner),
              [&](const Json& answer) {
                return Sandbox(connection_, answer.value("sandboxId", ""), !detached);
              });
}

Result<std::vector<Result<Sandbox>>> Sandbox::ForkMany(int count, bool detached) {
  if (!connection_) return std::unexpected(client::Destroyed());
  client::ExtensionHost::Forking forking(connection_->extensions());
  client::Manner manner;
  manner.known = [&](const Json& answer) {
    for (const Json& one : answer.value("forks", Json::array())) {
      if (!one.contains("sandboxId")) continue;
      forking.Made(id_, one["sandboxId"]);
      connection_->listeners().Inherit(id_, one["sandboxId"]);
    }
  };
  const Result<Json> answer =
      AskOf(connection_, id_, "sandbox.fork", {{"count", count}, {"detached", detached}}, manner);
  if (!answer) return std::unexpected(answer.error());
  std::vector<Result<Sandbox>> forks;
  for (const Json& one : answer->value("forks", Json::array())) {
    if (const auto error = one.find("error"); error != one.end()) {
      forks.emplace_back(std::unexpected(client::RefusalOf(*error)));
    } else {
      forks.emplace_back(Sandbox(connection_, one.value("sandboxId", ""), !detached));
    }
  }
  return forks;
}

Status Sandbox::Suspend() {
  return AskDone(connection_, id_, "sandbox.suspend");
}

Status Sandbox::Resume() {
  return AskDone(connection_, id_, "sandbox.resume");
}

Result<std::string> Sandbox::Snapshot(const std::string& name) {
  Json params = Json::object();
  if (!name.empty()) params["name"] = name;
  return Then(AskOf(connection_, id_, "snapshot.create", std::move(params)), client::SnapshotOf);
}

Status Sandbox::Restore(const std::string& snapshot) {
  return AskDone(connection_, id_, "snapshot.restore", {{"snapshotId", snapshot}});
}

Result<std::vector<SnapshotInfo>> Sandbox::Snapshots() {
  return Then(AskOf(connection_, id_, "snapshot.list"), [](const Json& answer) {
    std::vector<SnapshotInfo> all;
    for (const Json& one : answer.value("snapshots", Json::array())) {
      all.push_back({client::SnapshotOf(one), one.value("timestamp", int64_t{0})});
    }
    return all;
  });
}

Status Sandbox::DeleteSnapshot(const std::string& snapshot) {
  return AskDone(connection_, id_, "snapshot.delete", {{"snapshotId", snapshot}});
}

Result<Usage> Sandbox::GetUsage() {
  return Then(AskOf(connection_, id_, "usage"), [](const Json& answer) {
    const auto number = [&](const char* name) { return answer.value(name, uint64_t{0}); };
    return Usage{number("processes"),       number("processesStarted"), number("memoryBytes"),
                 number("memoryPeakBytes"), number("fileBytes"),        number("fileCount")};
  });
}

Status Sandbox::Destroy() {
  const Status done = AskDone(connection_, id_, "sandbox.destroy");
  if (connection_) {
    connection_->listeners().Forget(id_);
    connection_->extensions().Forget(id_);
  }
  connection_.reset();
  return done;
}

Status Process::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, client::kPiece);
    const Result<Json> done = connection_->Ask(
        "process.write", {{"processId", running_->id}, {"data", client::BytesOf(piece)}});
    if (!done) return std::unexpected(done.error());
    bytes.remove_prefix(piece.size());
  }
  return {};
}

Status Process::Tell(const char* method, const std::map<std::string, int>& arguments) {
  Json params = arguments;
  params["processId"] = running_->id;
  const Result<Json> done = connection_->Ask(method, std::move(params));
  return done ? Status() : std::unexpected(done.error());
}

Status Process::CloseInput() {
  return Tell("process.closeStdin");
}

Status Process::Signal(int number) {
  return Tell("process.signal", {{"signal", number}});
}

Status Process::Resize(TerminalSize size) {
  return Tell("process.resize", {{"rows", size.rows}, {"columns", size.columns}});
}

Status Process::Kill() {
  return Tell("process.kill");
}

Result<CommandResult> Process::Wait() {
  return connection_->Wait(*running_);
}

}  // namespace cordon
