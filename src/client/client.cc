#include <utility>

#include "client/answers.h"
#include "client/connection.h"
#include "cordon/client.h"

namespace cordon {
namespace {

using client::Connection;
using client::Json;

Json LimitsOf(const Limits& limits) {
  const std::pair<const char*, std::optional<int64_t>> all[] = {
      {"timeoutMs", limits.timeout_ms},     {"stdoutBytes", limits.stdout_bytes},
      {"stderrBytes", limits.stderr_bytes}, {"memoryBytes", limits.memory_bytes},
      {"fsBytes", limits.fs_bytes},         {"fileCount", limits.file_count},
      {"processes", limits.processes},      {"commandBytes", limits.command_bytes},
      {"rpcBytes", limits.rpc_bytes},
  };
  Json json = Json::object();
  for (const auto& [name, value] : all) {
    if (value) json[name] = *value;
  }
  return json;
}

Json PersistenceOf(const Persistence& persistence) {
  Json json = {
      {"mode", persistence.mode == Persistence::Mode::kPersistent ? "persistent" : "session"},
      {"namespace", persistence.name}};
  if (persistence.autosave_ms) json["autosaveMs"] = *persistence.autosave_ms;
  return json;
}

Json PolicyOf(const PackagePolicy& policy) {
  Json json = {{"enabled", true},
               {"requireIntegrity", policy.require_integrity},
               {"allowShadowing", policy.allow_shadowing},
               {"allowPrivateHosts", policy.allow_private_hosts}};
  if (!policy.allowed_hosts.empty()) json["allowedHosts"] = policy.allowed_hosts;
  if (policy.max_package_bytes) json["maxPackageBytes"] = *policy.max_package_bytes;
  if (policy.max_installed_packages) {
    json["maxInstalledPackages"] = *policy.max_installed_packages;
  }
  if (!policy.index.empty()) json["index"] = policy.index;
  if (!policy.index_key.empty()) json["indexKey"] = policy.index_key;
  return json;
}

std::string JoinPath(const std::vector<std::string>& directories) {
  std::string path;
  for (const std::string& one : directories) path += (path.empty() ? "" : ":") + one;
  return path;
}

// Of create and pool.fill.
Json ParamsOf(const CreateOptions& options) {
  Json params = {{"limits", LimitsOf(options.limits)}, {"detached", options.detached}};
  if (!options.directory.empty()) params["directory"] = options.directory;
  if (!options.env.empty()) params["env"] = options.env;
  if (!options.python_path.empty()) params["env"]["PYTHONPATH"] = JoinPath(options.python_path);
  if (options.persistence) params["persistence"] = PersistenceOf(*options.persistence);
  if (options.tools) params["security"] = {{"toolAllowlist", *options.tools}};
  if (options.packages) params["packagePolicy"] = PolicyOf(*options.packages);
  if (options.nice != 0) params["nice"] = options.nice;
  if (!options.label.empty()) params["label"] = options.label;
  if (options.on_audit_event) params["audit"] = true;
  return params;
}

}  // namespace

Result<Client> Client::Start(const std::string& program) {
  Result<std::shared_ptr<Connection>> connection = Connection::Start(program);
  if (!connection) return std::unexpected(connection.error());
  return Client(std::move(*connection));
}

Result<Client> Client::Connect(const std::string& path) {
  Result<std::shared_ptr<Connection>> connection = Connection::Connect(path);
  if (!connection) return std::unexpected(connection.error());
  return Client(std::move(*connection));
}

Result<Sandbox> Client::Create(const CreateOptions& options) {
  client::Manner manner;
  manner.known = [&](const Json& made) {
    connection_->listeners().Add(made.value("sandboxId", ""),
                                 {options.on_audit_event, options.on_save_failed});
  };
  const Result<Json> made = connection_->Ask("create", ParamsOf(options), manner);
  if (!made) return std::unexpected(made.error());
  Sandbox sandbox(connection_, made->value("sandboxId", ""), !options.detached);
  sandbox.loaded_ = made->value("loaded", false);
  sandbox.skipped_ = client::ReportOf(*made).skipped;
  if (const Status ready = sandbox.Equip(options); !ready) {
    (void)sandbox.Destroy();
    return std::unexpected(ready.error());
  }
  return sandbox;
}

Status Client::FillPool(const CreateOptions& kind, const PoolSizes& sizes) {
  Json params = ParamsOf(kind);
  params["size"] = sizes.size;
  if (sizes.most) params["most"] = *sizes.most;
  if (sizes.interval_ms) params["intervalMs"] = *sizes.interval_ms;
  const Result<Json> answer = connection_->Ask("pool.fill", std::move(params));
  return answer ? Status() : std::unexpected(answer.error());
}

Status Client::Kill() {
  const Result<Json> answer = connection_->Ask("kill", Json::object());
  return answer ? Status() : std::unexpected(answer.error());
}

Result<DaemonVersion> Client::GetVersion() {
  const Result<Json> answer = connection_->Ask("version", Json::object());
  if (!answer) return std::unexpected(answer.error());
  return DaemonVersion{answer->value("version", ""), answer->value("protocol", 0)};
}

Sandbox Client::Open(std::string id) {
  return {connection_, std::move(id), /*ends_with_this=*/false};
}

Result<std::vector<SandboxInfo>> Client::List() {
  const Result<Json> answer = connection_->Ask("sandbox.list", Json::object());
  if (!answer) return std::unexpected(answer.error());
  std::vector<SandboxInfo> all;
  for (const Json& one : answer->value("sandboxes", Json::array())) {
    all.push_back({one.value("sandboxId", ""), one.value("detached", false),
                   one.value("running", uint64_t{0}), one.value("label", "")});
  }
  return all;
}

Result<std::vector<SavedState>> Client::ListSaved() {
  const Result<Json> answer = connection_->Ask("persistence.list", Json::object());
  if (!answer) return std::unexpected(answer.error());
  std::vector<SavedState> all;
  for (const Json& one : answer->value("namespaces", Json::array())) {
    all.push_back({one.value("namespace", ""), one.value("sizeBytes", uint64_t{0}),
                   one.value("savedMs", int64_t{0}), one.value("inUse", false),
                   one.value("sandboxId", "")});
  }
  return all;
}

Status Client::DeleteSaved(const std::string& name) {
  const Result<Json> answer = connection_->Ask("persistence.delete", {{"namespace", name}});
  return answer ? Status() : std::unexpected(answer.error());
}

Result<TotalUsage> Client::GetTotalUsage() {
  const Result<Json> answer = connection_->Ask("usage.total", Json::object());
  if (!answer) return std::unexpected(answer.error());
  const auto number = [](const Json& object, const char* name) -> std::optional<uint64_t> {
    const Json value = object.value(name, Json());
    return value.is_number() ? std::optional(value.get<uint64_t>()) : std::nullopt;
  };
  const Json most = answer->value("most", Json::object());
  return TotalUsage{number(*answer, "sandboxes").value_or(0), number(*answer, "memoryBytes"),
                    number(*answer, "processes"), number(most, "memoryBytes"),
                    number(most, "processes")};
}

}  // namespace cordon
