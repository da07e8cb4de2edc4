#include "rpc/audit.h"

#include <chrono>
#include <utility>

#include "kernel/control.h"
#include "rpc/client.h"

namespace cordon::rpc {
namespace {

constexpr size_t kMostText = 1024;

// As create calls them.
const char* NameOfLimit(int64_t limit) {
  switch (limit) {
    case control::kLimitMemory:
      return "memoryBytes";
    case control::kLimitProcesses:
      return "processes";
    case control::kLimitFiles:
      return "fileCount";
    case control::kLimitFileBytes:
      return "fsBytes";
    default:
      return "unknown";
  }
}

}  // namespace

void Audit(Sandbox& sandbox, const char* type, Json details) {
  if (!sandbox.is_audited) return;
  const std::shared_ptr<Client> client = sandbox.owner.lock();
  if (!client || client->closed()) return;
  if (client->IsBehind()) {
    ++sandbox.missed_events;
    return;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  details["type"] = type;
  details["sessionId"] = sandbox.id;
  details["timestamp"] = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  if (sandbox.missed_events > 0) details["missed"] = std::exchange(sandbox.missed_events, 0);
  client->Send(NotificationMessage("audit", details));
}

void AuditPolicy(Sandbox& sandbox, const live::Frame& frame) {
  Json details = Json::object();
  const auto running = sandbox.running.find(static_cast<uint32_t>(frame.arg[1]));
  if (running != sandbox.running.end() && !running->second.request.is_null()) {
    details["requestId"] = running->second.request;
  }
  if (frame.arg[0] == static_cast<int64_t>(live::PolicyEvent::kDenied)) {
    sandbox.missed_events += static_cast<uint64_t>(frame.arg[2]);
    details["capability"] = "tool";
    details["tool"] = frame.payload;
    return Audit(sandbox, "capability.denied", std::move(details));
  }
  details["limit"] = NameOfLimit(frame.arg[2]);
  Audit(sandbox, "limit.exceeded", std::move(details));
}

std::string AuditText(const std::string& command) {
  if (command.size() <= kMostText) return command;
  size_t end = kMostText;
  // Not in the middle of a character.
  while (end > 0 && (static_cast<unsigned char>(command[end]) & 0xc0) == 0x80) --end;
  return command.substr(0, end) + "…";
}

}  // namespace cordon::rpc
