#include "rpc/security.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace cordon::rpc {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 40;
constexpr int64_t kMaxMilliseconds = int64_t{1} << 40;
constexpr int64_t kMiB = 1 << 20;
constexpr size_t kMostTools = 1000;
constexpr size_t kLongestTool = control::kToolName - 1;
constexpr int kMostNice = 19;

// Takes numbers out of `limits`; what is left in the end is no limit.
class Limits {
 public:
  Limits(const CallPtr& call, Json limits) : call_(call), limits_(std::move(limits)) {}

  template <typename T>
  void Take(const char* name, int64_t least, int64_t most, T* value) {
    const auto found = limits_.find(name);
    if (found == limits_.end() || refused_) return;
    const bool is_null = found->is_null();
    const bool fits = found->is_number() && found->get<double>() >= static_cast<double>(least) &&
                      found->get<double>() <= static_cast<double>(most);
    if (fits) *value = static_cast<T>(found->get<double>());
    limits_.erase(found);
    if (fits || is_null) return;
    Refuse(std::string("Limit must be a number from ") + std::to_string(least) + " to " +
           std::to_string(most) + ": " + name);
  }

  // False: something was refused.
  [[nodiscard]] bool Finish() {
    if (!refused_ && !limits_.empty()) Refuse("Unknown limit: " + limits_.items().begin().key());
    return !refused_;
  }

 private:
  void Refuse(const std::string& reason) {
    refused_ = true;
    call_->Refuse({kInvalidParams, reason, {}});
  }

  const CallPtr& call_;
  Json limits_;
  bool refused_ = false;
};

bool Refuse(const CallPtr& call, const std::string& reason) {
  call->Refuse({kInvalidParams, reason, {}});
  return false;
}

bool ReadTools(const CallPtr& call, const Json& given, live::LiveOptions* options) {
  if (given.is_null()) return true;
  if (!given.is_array() || given.size() > kMostTools) {
    return Refuse(call, "security.toolAllowlist must be an array of at most 1000 names");
  }
  // In order and once each, so that equal lists are equal.
  std::set<std::string> names;
  for (const Json& one : given) {
    const std::string name = one.is_string() ? one.get<std::string>() : "";
    const bool is_name =
        !name.empty() && name.size() <= kLongestTool && name != "." && name != ".." &&
        std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~' && c != '/'; });
    if (!is_name) {
      return Refuse(call,
                    "security.toolAllowlist has names of programs, without directories: " + name);
    }
    names.insert(name);
  }
  options->tools.emplace(names.begin(), names.end());
  return true;
}

bool MergeLimits(const CallPtr& call, const Json& given, const char* place, Json* limits) {
  if (given.is_null()) return true;
  if (!given.is_object()) return Refuse(call, std::string("Param must be an object: ") + place);
  limits->update(given);
  return true;
}

// The members of `security`.
bool ReadMembers(const CallPtr& call, const Json& security, live::LiveOptions* options,
                 Json* limits) {
  for (const auto& [name, value] : security.items()) {
    if (name == "toolAllowlist") {
      if (!ReadTools(call, value, options)) return false;
    } else if (name == "limits") {
      if (!MergeLimits(call, value, "security.limits", limits)) return false;
    } else if (name == "hardKill") {
      // Whatever it says: commands are ended by signals from outside.
      if (!value.is_boolean()) return Refuse(call, "Param must be true or false: hardKill");
    } else if (name != "packagePolicy") {  // that is for ReadPackagePolicy
      return Refuse(call, "Unknown member of security: " + name);
    }
  }
  return true;
}

}  // namespace

bool ReadSecurity(const CallPtr& call, live::LiveOptions* options, Sandbox* sandbox) {
  const Json& params = call->request.params;
  const Json security = params.value("security", Json::object());
  if (!security.is_object()) return Refuse(call, "Param must be an object: security");
  Json merged = Json::object();
  if (!MergeLimits(call, params.value("limits", Json()), "limits", &merged) ||
      !ReadMembers(call, security, options, &merged)) {
    return false;
  }
  // What stands at the top is meant for this sandbox above all.
  if (params.contains("timeoutMs")) merged["timeoutMs"] = params["timeoutMs"];
  if (params.contains("fsLimitBytes")) merged["fsBytes"] = params["fsLimitBytes"];
  const auto nice = call->Number("nice", 0, 0, kMostNice);
  if (!nice) return false;
  options->nice = static_cast<int>(*nice);

  Limits limits(call, std::move(merged));
  auto& sizes = options->sandbox.sizes;
  RunLimits& runs = sandbox->limits;
  size_t request_bytes = 0;
  limits.Take("memoryBytes", 16 * kMiB, kMaxBytes, &sizes.memory_bytes);
  limits.Take("processes", 2, 1000, &sizes.max_processes);
  limits.Take("fileCount", 16, 10'000'000, &sizes.max_files);
  limits.Take("fsBytes", kMiB, kMaxBytes, &sizes.file_bytes);
  limits.Take("timeoutMs", 0, kMaxMilliseconds, &runs.timeout_ms);
  limits.Take("stdoutBytes", 0, kMaxBytes, &runs.stdout_bytes);
  limits.Take("stderrBytes", 0, kMaxBytes, &runs.stderr_bytes);
  limits.Take("commandBytes", 1, 250 * 1024, &runs.command_bytes);
  limits.Take("rpcBytes", 4096,
              static_cast<int64_t>(call->client->server.options().max_request_bytes),
              &request_bytes);
  if (!limits.Finish()) return false;
  if (request_bytes > 0) call->client->LimitRequests(request_bytes);
  return true;
}

}  // namespace cordon::rpc
