#include "client/listeners.h"

#include <utility>

#include "client/answers.h"

namespace cordon::client {
namespace {

using rpc::Json;

constexpr size_t kMostEarly = 4096;

AuditEvent AuditEventOf(const Json& json) {
  AuditEvent event = {
      .type = json.value("type", ""),
      .sandbox = json.value("sessionId", ""),
      .timestamp_ms = json.value("timestamp", int64_t{0}),
      .missed = json.value("missed", uint64_t{0}),
      .command = TextOf(json, "command"),
      .request = {},
      .process = {},
      .exit_code = {},
      .execution_time_ms = json.value("executionTimeMs", 0.0),
      .usage = {},
      .error_class = json.value("errorClass", ""),
      .limit = json.value("limit", ""),
      .capability = json.value("capability", ""),
      .tool = TextOf(json, "tool"),
      .fork_of = json.value("forkOf", ""),
      .reason = json.value("reason", ""),
      .package_source = TextOf(json, "source"),
      .package_name = TextOf(json, "name"),
      .package_sha256 = json.value("sha256", ""),
      .code = json.value("code", ""),
      .message = TextOf(json, "message"),
  };
  // A request of another kind of client may have a name.
  if (const Json id = json.value("requestId", Json()); id.is_number_integer()) event.request = id;
  if (const Json id = json.value("processId", Json()); id.is_number_integer()) event.process = id;
  if (json.contains("exitCode")) event.exit_code = json.value("exitCode", 0);
  if (json.contains("usage")) event.usage = UsageOf(json["usage"]);
  return event;
}

FileEvent FileEventOf(const Json& json) {
  using Type = FileEvent::Type;
  const std::string type = json.value("type", "");
  return {.type = type == "created"   ? Type::kCreated
                  : type == "changed" ? Type::kChanged
                  : type == "removed" ? Type::kRemoved
                                      : Type::kOverflow,
          .path = TextOf(json, "path")};
}

}  // namespace

void Listeners::Add(const std::string& sandbox, SandboxHandlers handlers) {
  if (!handlers.on_audit_event && !handlers.on_save_failed) return;
  AddShared(sandbox, std::make_shared<const SandboxHandlers>(std::move(handlers)));
}

void Listeners::AddShared(const std::string& sandbox, HandlersPtr handlers) {
  {
    const std::scoped_lock guard(lock_);
    sandboxes_[sandbox] = std::move(handlers);
  }
  for (const Json& event : std::exchange(early_, {})) TellOfSandbox(event);
}

void Listeners::Inherit(const std::string& from, const std::string& to) {
  HandlersPtr handlers;
  {
    const std::scoped_lock guard(lock_);
    const auto found = sandboxes_.find(from);
    if (found == sandboxes_.end()) return;
    handlers = found->second;
  }
  AddShared(to, std::move(handlers));
}

void Listeners::Forget(const std::string& sandbox) {
  const std::scoped_lock guard(lock_);
  sandboxes_.erase(sandbox);
}

void Listeners::AddWatch(uint32_t id, FileHandler handler) {
  const std::scoped_lock guard(lock_);
  watches_[id] = std::make_shared<const FileHandler>(std::move(handler));
}

void Listeners::ForgetWatch(uint32_t id) {
  const std::scoped_lock guard(lock_);
  watches_.erase(id);
}

void Listeners::TellOfSandbox(const Json& params) {
  const bool is_audit = params.contains("sessionId");
  const std::string sandbox = params.value(is_audit ? "sessionId" : "sandboxId", "");
  HandlersPtr handlers;
  {
    const std::scoped_lock guard(lock_);
    const auto found = sandboxes_.find(sandbox);
    if (found != sandboxes_.end()) handlers = found->second;
  }
  if (handlers == nullptr) {
    if (is_audit) early_.push_back(params);
    if (early_.size() > kMostEarly) early_.pop_front();
  } else if (is_audit) {
    if (handlers->on_audit_event) handlers->on_audit_event(AuditEventOf(params));
  } else if (handlers->on_save_failed) {
    handlers->on_save_failed(TextOf(params, "error"));
  }
}

void Listeners::Take(const std::string& method, const Json& params) {
  if (method == "audit" || method == "persistence.failed") return TellOfSandbox(params);
  if (method != "files.changed") return;
  std::shared_ptr<const FileHandler> handler;
  {
    const std::scoped_lock guard(lock_);
    const auto found = watches_.find(params.value("watchId", uint32_t{0}));
    if (found == watches_.end()) return;
    handler = found->second;
  }
  (*handler)(FileEventOf(params));
}

}  // namespace cordon::client
