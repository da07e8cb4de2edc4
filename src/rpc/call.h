#ifndef CORDON_RPC_CALL_H_
#define CORDON_RPC_CALL_H_

// One request on its way to its answer.

#include <memory>
#include <optional>
#include <string>

#include "rpc/client.h"
#include "rpc/message.h"

namespace cordon::rpc {

class Call {
 public:
  Call(std::shared_ptr<Client> asking, Request what)
      : client(std::move(asking)),
        request(std::move(what)),
        counts(!request.method.starts_with("extension.")) {
    if (counts) ++client->requests;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  // Whatever became of it, nobody waits for ever.
  ~Call();

  void Reply(const Json& result);
  void ReplyWithFile(const Json& result, OwnedFd file);
  void Refuse(const RpcError& error);
  // A sandbox's answer to a request about files: an errno, or what `then` makes of it.
  void RefuseErrno(int error_number, const std::string& text);

  // Parameters. Each refuses the call itself when it gives nothing.
  [[nodiscard]] std::optional<std::string> Text(const char* name);
  // Of something in a sandbox: text, or bytes under the name + "Base64".
  [[nodiscard]] std::optional<std::string> Name(const char* name);
  // The same, absolute.
  [[nodiscard]] std::optional<std::string> Path(const char* name);
  [[nodiscard]] std::optional<int64_t> Number(const char* name, int64_t otherwise, int64_t least,
                                              int64_t most);
  // The same of a member of a parameter.
  [[nodiscard]] std::optional<int64_t> NumberOf(const Json& object, const char* name,
                                                int64_t otherwise, int64_t least, int64_t most);
  // "data", text or bytes, or "dataBase64"; empty when there is neither, if that may be.
  enum class Need { kMayBeMissing, kNeeded };
  [[nodiscard]] std::optional<std::string> Bytes(const std::string& name,
                                                 Need need = Need::kNeeded);
  [[nodiscard]] bool Has(const char* name) const { return request.params.contains(name); }
  [[nodiscard]] bool HasName(const std::string& name) const {
    return request.params.contains(name) || request.params.contains(name + "Base64");
  }
  // False when it is missing.
  [[nodiscard]] std::optional<bool> Flag(const char* name);
  // One that is there, or in this other state; refuses the call otherwise.
  [[nodiscard]] std::shared_ptr<Sandbox> TheSandbox(Presence also = Presence::kHere);
  [[nodiscard]] std::shared_ptr<Sandbox> TheSandboxInAnyState();
  // Why there may not be one more sandbox; nothing: there may.
  [[nodiscard]] std::optional<RpcError> RoomRefusal(size_t asked_for = 0) const;
  // For one more sandbox; refuses the call otherwise.
  [[nodiscard]] bool HasRoom();
  // For what makes a sandbox larger; refuses the call where all together have what they may.
  [[nodiscard]] bool HasMemory();

  const std::shared_ptr<Client> client;
  const Request request;
  // Among those of which a client may have so many. What it says as a host of commands does not:
  // others of its requests wait for that.
  const bool counts;

 private:
  bool answered_ = false;
};

using CallPtr = std::shared_ptr<Call>;

// Of a sandbox that answered with an errno.
[[nodiscard]] RpcError ErrorOf(int error_number, const std::string& text);

void Dispatch(std::shared_ptr<Client> client, Request request);

#define METHOD(name, handler, parameters, result, summary) void handler(const CallPtr& call);
#include "rpc/methods.def"
#undef METHOD

}  // namespace cordon::rpc

#endif  // CORDON_RPC_CALL_H_
