#ifndef CORDON_RPC_EXTENSIONS_H_
#define CORDON_RPC_EXTENSIONS_H_

// Commands of one sandbox that clients serve: which there are, and the calls of them that go on,
// between a keeper (live/host_calls.h) and the client that is asked. A client hears of a call only
// when it takes what is sent to it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "live/host_frame.h"
#include "rpc/call.h"
#include "rpc/extension_text.h"

namespace cordon::rpc {

// Of the frames that come unasked.
[[nodiscard]] inline bool IsAboutHostCall(live::Kind kind) {
  return kind >= live::Kind::kHostCalled && kind <= live::Kind::kHostGone;
}

class Extensions : public std::enable_shared_from_this<Extensions> {
 public:
  struct Known : std::map<std::string, ExtensionFacts> {
    std::map<std::string, std::weak_ptr<Client>> clients;  // by the same names
  };

  // Of a sandbox that is ready. `known`: what the one has that it is a fork of.
  Extensions(std::string sandbox_id, const std::shared_ptr<SandboxLink>& link, Known known = {})
      : sandbox_id_(std::move(sandbox_id)), link_(link), known_(std::move(known)) {}

  [[nodiscard]] const Known& known() const { return known_; }
  // Whether a client serves it that is there and is not this one.
  [[nodiscard]] bool IsTaken(const std::string& name, const Client& by) const;
  void Add(ExtensionFacts facts, const std::shared_ptr<Client>& client);
  [[nodiscard]] bool Remove(const std::string& name);

  // What the keeper says of calls, unasked, or kDead.
  void Hear(const live::Frame& frame);
  // extension.read and extension.write of a call that goes on.
  void Read(const CallPtr& call);
  void Write(const CallPtr& call);
  // The client is gone: the commands that it serves fail.
  void Leave(const Client& client);

 private:
  struct Invocation {
    live::HostCallStart start;
    std::weak_ptr<Client> client;
    std::string id;  // of the request to the client; empty before it was told
    bool is_answered = false;
    CallPtr reading;
    std::map<int64_t, CallPtr> writing;  // by stream
  };

  void Begin(uint32_t number, const std::string& payload);
  // Of those that were not told yet.
  void TellWhenTaken(const std::shared_ptr<Client>& client);
  void Tell(const Client& client);
  void Invoke(uint32_t number, Invocation& invocation, const std::shared_ptr<Client>& client);
  void Finish(uint32_t number, const Reply& reply);
  void TakeInput(Invocation& invocation, const live::Frame& frame);
  void Gone(uint32_t number);

  void Say(uint32_t number, int64_t stream, const std::string& bytes);
  // Its last word.
  void Exit(uint32_t number, uint32_t status);
  void Fail(uint32_t number, const std::string& message, uint32_t status);
  // Of the request that names a call; refuses it when there is none.
  std::map<uint32_t, Invocation>::iterator Find(const CallPtr& call);
  static void RefuseAll(Invocation& invocation);

  const std::string sandbox_id_;
  const std::weak_ptr<SandboxLink> link_;
  Known known_;
  std::map<uint32_t, Invocation> going_;  // by the keeper's numbers
  std::set<const Client*> waits_for_;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_EXTENSIONS_H_
