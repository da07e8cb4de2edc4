// Methods about directories that a client watches.

#include <string>
#include <utility>

#include "rpc/call.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;
using live::WatchEvent;

const char* NameOf(int64_t event) {
  switch (static_cast<WatchEvent>(event)) {
    case WatchEvent::kCreated:
      return "created";
    case WatchEvent::kWritten:
      return "changed";
    case WatchEvent::kRemoved:
      return "removed";
    case WatchEvent::kOverflow:
      return "overflow";
  }
  return "overflow";
}

void Tell(Client& client, uint32_t watch, const char* type, const std::string& path) {
  Json params = {{"watchId", watch}, {"type", type}};
  PutBytes(params, "path", path);
  client.Send(NotificationMessage("files.changed", params));
}

// A client that takes nothing hears later that it missed something.
void TellEvent(const std::weak_ptr<Client>& known, uint32_t id, const Frame& frame) {
  const std::shared_ptr<Client> client = known.lock();
  if (!client) return;
  const auto found = client->watches.find(id);
  if (found == client->watches.end()) return;
  Watch& watch = found->second;
  if (!client->IsBehind()) {
    const std::string path = frame.payload.empty()
                                 ? watch.path
                                 : (watch.path == "/" ? "/" : watch.path + "/") + frame.payload;
    return Tell(*client, id, NameOf(frame.arg[0]), path);
  }
  if (std::exchange(watch.missed, true)) return;
  client->WhenTaken([known, id] {
    const std::shared_ptr<Client> later = known.lock();
    if (!later) return;
    const auto still = later->watches.find(id);
    if (still == later->watches.end()) return;
    still->second.missed = false;
    Tell(*later, id, "overflow", still->second.path);
  });
}

}  // namespace

void FilesWatch(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  const auto path = call->Path("path");
  if (!path) return;
  const auto recursive = call->Flag("recursive");
  if (!recursive) return;
  const uint32_t id = ++call->client->last_watch;
  const std::weak_ptr<Client> client = call->client;
  const uint32_t asked = sandbox->link->Ask(
      {Kind::kWatch, 0, {*recursive ? 1 : 0}, *path}, [call, client, id](const Frame& frame) {
        if (frame.kind == Kind::kChanged) {
          TellEvent(client, id, frame);
          return false;
        }
        if (frame.kind == Kind::kAnswer && frame.arg[0] >= 0) {
          call->Reply({{"watchId", id}});
          return false;
        }
        // It cannot be, or the sandbox has ended.
        if (const std::shared_ptr<Client> known = client.lock()) known->watches.erase(id);
        if (frame.kind != Kind::kAnswer) {
          call->Refuse({kSandboxError, frame.payload, {}});
        } else {
          call->RefuseErrno(static_cast<int>(-frame.arg[0]), frame.payload);
        }
        return true;
      });
  call->client->watches[id] = {sandbox, asked, *path};
}

void FilesUnwatch(const CallPtr& call) {
  const auto id = call->Number("watchId", 0, 0, UINT32_MAX);
  if (!id) return;
  const auto found = call->client->watches.find(static_cast<uint32_t>(*id));
  if (found == call->client->watches.end()) {
    return call->Refuse({kInvalidParams, "Unknown watchId: " + std::to_string(*id), {}});
  }
  EndWatch(found->second);
  call->client->watches.erase(found);
  call->Reply(Json::object());
}

void EndWatch(const Watch& watch) {
  if (const std::shared_ptr<Sandbox> sandbox = watch.sandbox.lock()) {
    sandbox->link->Tell({Kind::kUnwatch, watch.asked, {}, {}});
  }
}

}  // namespace cordon::rpc
