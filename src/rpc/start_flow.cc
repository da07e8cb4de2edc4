#include "rpc/start_flow.h"

#include <utility>

#include "rpc/audit.h"
#include "rpc/extensions.h"
#include "rpc/package_command.h"
#include "rpc/packages.h"

namespace cordon::rpc {

SandboxLink::Handler HearSandbox(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
                                 std::function<void(const std::shared_ptr<Sandbox>&)> when_ready) {
  return HearSandbox(
      call->client->server, sandbox, std::move(when_ready),
      [call](const std::string& reason) { call->Refuse({kSandboxError, reason, {}}); });
}

SandboxLink::Handler HearSandbox(Server& server, const std::shared_ptr<Sandbox>& sandbox,
                                 std::function<void(const std::shared_ptr<Sandbox>&)> when_ready,
                                 std::function<void(const std::string& reason)> when_ended) {
  const std::weak_ptr<Sandbox> known = sandbox;
  return [&server, known, when_ready = std::move(when_ready),
          when_ended = std::move(when_ended)](const live::Frame& frame) {
    const std::shared_ptr<Sandbox> it = known.lock();
    if (it && frame.kind == live::Kind::kReady) {
      when_ready(it);
      // Not the last word: an end that nobody asked about is heard here.
      return false;
    }
    if (frame.kind == live::Kind::kGuestRequest) {
      if (it) AnswerGuest(it, frame);
      return false;
    }
    if (frame.kind == live::Kind::kGuestGone) {
      if (it) LeaveGuest(*it, frame);
      return false;
    }
    if (IsAboutHostCall(frame.kind)) {
      if (it && it->extensions) it->extensions->Hear(frame);
      return false;
    }
    if (frame.kind == live::Kind::kPolicy) {
      if (it) AuditPolicy(*it, frame);
      return false;
    }
    when_ended(frame.payload);
    if (!it) return true;
    if (it->extensions) it->extensions->Hear(frame);
    if (it->packages) it->packages->GiveUp([](const Asker&) { return true; });
    // Its state is still its client's.
    if (it->presence == Presence::kReturning) it->presence = Presence::kAway;
    if (it->presence != Presence::kAway) server.Forget(it);
    return true;
  };
}

}  // namespace cordon::rpc
