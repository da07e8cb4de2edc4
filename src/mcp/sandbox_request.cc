#include "mcp/sandbox_request.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "policy/host_rule.h"

namespace cordon::mcp {
namespace {

using policy::HostRule;
using rpc::Json;
using Wrong = std::string;  // empty: nothing is

constexpr uint16_t kHttps = 443;

Wrong TooMuch(const std::string& name, int64_t most) {
  return name + " must be at most " + std::to_string(most) + " (this server's setting)";
}

struct LimitRow {
  const char* argument;
  const char* param;
  int64_t Settings::* most;
};
constexpr LimitRow kLimits[] = {
    {"timeout_ms", "timeoutMs", &Settings::max_timeout_ms},
    {"memory_bytes", "memoryBytes", &Settings::memory_bytes},
    {"file_bytes", "fsBytes", &Settings::file_bytes},
    {"file_count", "fileCount", &Settings::file_count},
    {"processes", "processes", &Settings::processes},
    {"command_bytes", "commandBytes", &Settings::command_bytes},
    {"stdout_bytes", "stdoutBytes", &Settings::output_bytes},
    {"stderr_bytes", "stderrBytes", &Settings::output_bytes},
};

Wrong TakeLimits(const Settings& settings, const Json& given, Json* create) {
  Json limits = Json::object();
  for (const LimitRow& row : kLimits) {
    int64_t value = settings.*row.most;
    if (given.contains(row.argument)) {
      const int64_t asked = given[row.argument].get<int64_t>();
      if (asked > value) return TooMuch(std::string("limits.") + row.argument, value);
      value = asked;
    } else if (row.most == &Settings::max_timeout_ms) {
      value = settings.timeout_ms;
    }
    limits[row.param] = value;
  }
  (*create)["limits"] = std::move(limits);
  return {};
}

Wrong TakeTools(const Settings& settings, const Json& arguments, Json* create) {
  Json tools = settings.tools ? Json(*settings.tools) : Json();
  if (arguments.contains("tools")) {
    for (const Json& name : arguments["tools"]) {
      if (settings.tools &&
          std::ranges::find(*settings.tools, name.get_ref<const std::string&>()) ==
              settings.tools->end()) {
        return "tools: this server does not allow " + name.get<std::string>();
      }
    }
    tools = arguments["tools"];
  }
  if (!tools.is_null()) (*create)["security"] = {{"toolAllowlist", std::move(tools)}};
  return {};
}

// A package's host without a port is asked for at this one, and at no other.
HostRule WithPort(HostRule rule) {
  if (rule.port == 0) rule.port = kHttps;
  return rule;
}

Wrong CheckHosts(const packages::Policy& policy, const Json& hosts) {
  for (const Json& host : hosts) {
    const auto text = host.get<std::string>();
    const auto rule = policy::ParseHostRule(text);
    if (!rule) return "package_policy.allowed_hosts: no host: " + text;
    // Where no list says which, a row with an address would let private ones in.
    const bool fits = policy.allowed_hosts
                          ? std::ranges::any_of(*policy.allowed_hosts,
                                                [&](const HostRule& allowed) {
                                                  return WithPort(allowed).Covers(WithPort(*rule));
                                                })
                          : rule->kind != HostRule::Kind::kAddress || policy.allow_private_hosts;
    if (!fits) return "package_policy.allowed_hosts: this server does not allow " + text;
  }
  return {};
}

Wrong NarrowNumber(const Json& given, const char* argument, const char* param, uint64_t most,
                   Json* policy) {
  if (!given.contains(argument)) return {};
  const auto asked = given[argument].get<uint64_t>();
  if (asked > most)
    return TooMuch(std::string("package_policy.") + argument, static_cast<int64_t>(most));
  (*policy)[param] = asked;
  return {};
}

Wrong TakePackages(const Settings& settings, const Json& arguments, Json* create) {
  const Json given = arguments.value("package_policy", Json::object());
  if (given.value("enabled", true) == false) return {};
  if (!settings.packages) {
    return given.empty() ? Wrong() : "package_policy: this server allows no packages";
  }
  const packages::Policy& policy = settings.packages->policy;
  Json params = settings.packages->params;
  if (given.contains("allowed_hosts")) {
    if (Wrong wrong = CheckHosts(policy, given["allowed_hosts"]); !wrong.empty()) return wrong;
    params["allowedHosts"] = given["allowed_hosts"];
  }
  for (Wrong wrong : {NarrowNumber(given, "max_package_bytes", "maxPackageBytes",
                                   policy.max_package_bytes, &params),
                      NarrowNumber(given, "max_installed_packages", "maxInstalledPackages",
                                   policy.max_installed, &params)}) {
    if (!wrong.empty()) return wrong;
  }
  if (given.contains("require_integrity")) {
    const bool is_required = given["require_integrity"].get<bool>();
    if (policy.require_integrity && !is_required) {
      return "package_policy.require_integrity: this server requires it";
    }
    params["requireIntegrity"] = is_required;
  }
  (*create)["packagePolicy"] = std::move(params);
  return {};
}

Wrong TakeMounts(const Settings& settings, const Json& arguments, std::vector<HostMount>* mounts) {
  *mounts = settings.mounts;
  if (arguments.contains("mounts")) {
    mounts->clear();
    for (const Json& path : arguments["mounts"]) {
      const auto found =
          std::ranges::find(settings.mounts, path.get_ref<const std::string&>(), &HostMount::guest);
      if (found == settings.mounts.end()) {
        return "mounts: this server has none at " + path.get<std::string>();
      }
      mounts->push_back(*found);
    }
  }
  if (arguments.value("read_only_mounts", false)) {
    for (HostMount& mount : *mounts) mount.is_writable = false;
  }
  return {};
}

Wrong TakePersistence(const Settings& settings, const Json& arguments, Json* create) {
  if (!arguments.contains("persistence")) return {};
  const Json& given = arguments["persistence"];
  if (settings.persistence_folder.empty()) return "persistence: this server saves no sandboxes";
  const std::string mode =
      given.value("mode", settings.may_persist_by_itself ? "persistent" : "session");
  if (mode == "persistent" && !settings.may_persist_by_itself) {
    return "persistence.mode: this server allows session alone";
  }
  const auto autosave = given.value("autosave_ms", settings.autosave_ms);
  if (autosave < settings.autosave_ms) {
    return "persistence.autosave_ms must be at least " + std::to_string(settings.autosave_ms) +
           " (this server's setting)";
  }
  (*create)["persistence"] = {
      {"mode", mode}, {"namespace", given["namespace"]}, {"autosaveMs", autosave}};
  return {};
}

Wrong TakeSimple(const Settings& settings, const Json& arguments, Json* create) {
  Json environment = settings.environment;
  environment.update(arguments.value("env", Json::object()));
  (*create)["env"] = std::move(environment);
  if (!settings.directory.empty()) (*create)["directory"] = settings.directory;
  for (const char* name : {"directory", "label"}) {
    if (arguments.contains(name)) (*create)[name] = arguments[name];
  }
  const int64_t nice = arguments.value("nice", settings.nice);
  if (nice < settings.nice) {
    return "nice must be at least " + std::to_string(settings.nice) + " (this server's setting)";
  }
  (*create)["nice"] = nice;
  (*create)["audit"] = !settings.audit_file.empty();
  return {};
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::string DescribePackages(const packages::Policy& policy) {
  std::string text = " `pkg install` brings WASI programs from ";
  if (policy.allowed_hosts) {
    std::vector<std::string> hosts;
    for (const HostRule& rule : *policy.allowed_hosts) hosts.push_back(rule.ToString());
    text += Listed(hosts);
  } else {
    text += "the internet";
  }
  if (!policy.index.empty()) text += "; `pkg search` knows what there is by name";
  if (policy.require_integrity) text += "; with --sha256";
  return text + ".";
}

}  // namespace

std::expected<SandboxRequest, std::string> RequestSandbox(const Settings& settings,
                                                          const Json& arguments) {
  SandboxRequest request = {Json::object(), {}};
  for (Wrong wrong :
       {TakeSimple(settings, arguments, &request.create),
        TakeLimits(settings, arguments.value("limits", Json::object()), &request.create),
        TakeTools(settings, arguments, &request.create),
        TakePackages(settings, arguments, &request.create),
        TakePersistence(settings, arguments, &request.create),
        TakeMounts(settings, arguments, &request.mounts)}) {
    if (!wrong.empty()) return std::unexpected(std::move(wrong));
  }
  return request;
}

SandboxRequest RequestDefaultSandbox(const Settings& settings) {
  Json arguments = Json::object();
  if (!settings.default_namespace.empty()) {
    arguments["persistence"] = {{"namespace", settings.default_namespace}};
  }
  // The settings hold against themselves.
  return RequestSandbox(settings, arguments).value_or(SandboxRequest());
}

std::string TakeCommandLimits(const Settings& settings, const Json& arguments, Json* params) {
  const std::pair<const char*, int64_t> most[] = {{"timeout_ms", settings.max_timeout_ms},
                                                  {"stdout_bytes", settings.output_bytes},
                                                  {"stderr_bytes", settings.output_bytes}};
  for (const auto& [name, limit] : most) {
    if (!arguments.contains(name)) continue;
    if (arguments[name].get<int64_t>() > limit) return TooMuch(name, limit);
    const auto row = std::ranges::find(kLimits, std::string_view(name), &LimitRow::argument);
    (*params)[row->param] = arguments[name];
  }
  return {};
}

std::string DescribeBounds(const Settings& settings) {
  std::string text = " A command has " + std::to_string(settings.timeout_ms) + " ms, and at most " +
                     std::to_string(settings.max_timeout_ms) +
                     " if it asks for them in timeout_ms.";
  if (settings.tools) {
    text +=
        " Besides the shell only these programs may be started: " + Listed(*settings.tools) + ".";
  }
  if (settings.packages) text += DescribePackages(settings.packages->policy);
  for (const HostMount& mount : settings.mounts) {
    text += " " + mount.guest + " is a directory of the host, " +
            (mount.is_writable ? "which commands change." : "read only.");
  }
  if (!settings.persistence_folder.empty()) {
    text += " create_sandbox with persistence makes a sandbox that is saved under a namespace.";
  }
  return text;
}

}  // namespace cordon::mcp
