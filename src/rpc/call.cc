#include "rpc/call.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "rpc/autosave.h"
#include "rpc/parameter_names.h"

namespace cordon::rpc {
namespace {

struct MethodRow {
  std::string_view name;
  void (*handler)(const CallPtr& call);
  std::string_view parameters;
};

constexpr MethodRow kMethods[] = {
#define METHOD(name, handler, parameters, result, summary) {name, handler, parameters},
#include "rpc/methods.def"
#undef METHOD
};

const MethodRow* FindMethod(std::string_view name) {
  const auto* const found = std::ranges::find(kMethods, name, &MethodRow::name);
  return found == std::end(kMethods) ? nullptr : found;
}

// Whether the table says so, or for a method that is "as" another one, that one's row.
bool HasPlainParameter(const MethodRow& method, std::string_view name) {
  constexpr std::string_view kAs = "as ";
  std::string_view own = method.parameters;
  if (own.starts_with(kAs)) {
    const size_t end = std::min(own.find(','), own.size());
    const MethodRow* other = FindMethod(own.substr(kAs.size(), end - kAs.size()));
    if (other != nullptr && NamesParameter(other->parameters, name)) return true;
    own.remove_prefix(end);
  }
  return name == "sandboxId" || NamesParameter(own, name);
}

// A path may be said as bytes, too: names in a sandbox need not be text.
bool HasParameter(const MethodRow& method, std::string_view name) {
  if (HasPlainParameter(method, name)) return true;
  constexpr std::string_view kCoded = "Base64";
  if (!name.ends_with(kCoded)) return false;
  name.remove_suffix(kCoded.size());
  constexpr std::array<std::string_view, 6> kPaths = {"path",   "from", "to",
                                                      "target", "cwd",  "directory"};
  return std::ranges::find(kPaths, name) != kPaths.end() && HasPlainParameter(method, name);
}

void Answer(const MethodRow& method, const CallPtr& call) {
  for (const auto& [name, value] : call->request.params.items()) {
    if (HasParameter(method, name)) continue;
    return call->Refuse({kInvalidParams, "Unknown param: " + name, {}});
  }
  try {
    method.handler(call);
  } catch (const Json::exception& error) {
    // No request may end the daemon, which others use.
    call->Refuse({RpcError::kInternal, error.what(), {}});
  }
}

// A name that starts with ./ or nothing is below the session's home.
constexpr const char* kHome = "/home/user/";
constexpr size_t kMaxPath = 4095;

const char* NameOfErrno(int number) {
  const char* name = strerrorname_np(number);
  return name == nullptr ? "EIO" : name;
}

}  // namespace

Call::~Call() {
  if (!answered_) Refuse({RpcError::kInternal, "The request was not answered", {}});
}

void Call::Reply(const Json& result) {
  if (std::exchange(answered_, true)) return;
  if (counts) --client->requests;
  if (!request.is_notification) client->Send(ResultMessage(request.id, result));
}

void Call::ReplyWithFile(const Json& result, OwnedFd file) {
  if (std::exchange(answered_, true)) return;
  if (counts) --client->requests;
  if (request.is_notification) return;
  client->SendWithFile(ResultMessage(request.id, result), std::move(file));
}

void Call::Refuse(const RpcError& error) {
  if (std::exchange(answered_, true)) return;
  if (counts) --client->requests;
  if (!request.is_notification) client->Send(ErrorMessage(request.id, error));
}

RpcError ErrorOf(int error_number, const std::string& text) {
  const std::string name = NameOfErrno(error_number);
  return {kSandboxError, name + ": " + text, name};
}

void Call::RefuseErrno(int error_number, const std::string& text) {
  Refuse(ErrorOf(error_number, text));
}

std::optional<std::string> Call::Text(const char* name) {
  const auto found = request.params.find(name);
  if (found == request.params.end()) {
    Refuse({kInvalidParams, std::string("Missing required param: ") + name, {}});
    return std::nullopt;
  }
  if (!found->is_string()) {
    Refuse({kInvalidParams, std::string("Param must be a string: ") + name, {}});
    return std::nullopt;
  }
  std::string text = found->get<std::string>();
  if (text.find('\0') != std::string::npos) {
    Refuse({kInvalidParams, std::string("Param contains a zero byte: ") + name, {}});
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> Call::Name(const char* name) {
  if (!Has((std::string(name) + "Base64").c_str())) return Text(name);
  std::optional<std::string> bytes = Bytes(name);
  if (!bytes || bytes->find('\0') == std::string::npos) return bytes;
  Refuse({kInvalidParams, std::string("Param contains a zero byte: ") + name, {}});
  return std::nullopt;
}

std::optional<std::string> Call::Path(const char* name) {
  std::optional<std::string> path = Name(name);
  if (!path) return std::nullopt;
  if (path->empty() || path->size() > kMaxPath) {
    Refuse({kInvalidParams, std::string("Param is no path: ") + name, {}});
    return std::nullopt;
  }
  if (path->front() != '/') path->insert(0, kHome);
  // The end of a path that names a directory.
  while (path->size() > 1 && path->back() == '/') path->pop_back();
  return path;
}

std::optional<int64_t> Call::Number(const char* name, int64_t otherwise, int64_t least,
                                    int64_t most) {
  return NumberOf(request.params, name, otherwise, least, most);
}

std::optional<int64_t> Call::NumberOf(const Json& object, const char* name, int64_t otherwise,
                                      int64_t least, int64_t most) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  // As large ones as a client may say are no int64_t.
  const double number = found->is_number() ? found->get<double>() : 0;
  if (found->is_number() && number >= static_cast<double>(least) &&
      number <= static_cast<double>(most)) {
    return static_cast<int64_t>(number);
  }
  Refuse({kInvalidParams,
          std::string("Param must be a number from ") + std::to_string(least) + " to " +
              std::to_string(most) + ": " + name,
          {}});
  return std::nullopt;
}

std::optional<std::string> Call::Bytes(const std::string& name, Need need) {
  if (need == Need::kNeeded && !Has(name.c_str()) && !Has((name + "Base64").c_str())) {
    Refuse({kInvalidParams, "Missing required param: " + name, {}});
    return std::nullopt;
  }
  Result<std::string> bytes = TakeBytes(request.params, name);
  if (bytes) return std::move(*bytes);
  Refuse({kInvalidParams, "Param " + bytes.error().message, {}});
  return std::nullopt;
}

std::optional<bool> Call::Flag(const char* name) {
  const auto found = request.params.find(name);
  if (found == request.params.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  Refuse({kInvalidParams, std::string("Param must be true or false: ") + name, {}});
  return std::nullopt;
}

std::shared_ptr<Sandbox> Call::TheSandbox(Presence also) {
  std::shared_ptr<Sandbox> sandbox = TheSandboxInAnyState();
  if (!sandbox || sandbox->presence == Presence::kHere || sandbox->presence == also) {
    return sandbox;
  }
  Refuse({kSandboxError, "Sandbox is offloaded — call rehydrate() first", {}});
  return nullptr;
}

std::shared_ptr<Sandbox> Call::TheSandboxInAnyState() {
  std::string id = client->first_sandbox;
  if (Has("sandboxId")) {
    const std::optional<std::string> given = Text("sandboxId");
    if (!given) return nullptr;
    id = *given;
  } else if (id.empty()) {
    Refuse({kInvalidParams, "No sandbox: call create first", {}});
    return nullptr;
  }
  auto& all = client->server.sandboxes();
  const auto found = all.find(id);
  // One of another connection is none, unless it was made for all of the user's.
  if (found == all.end() || (!found->second->detached && found->second->owner.lock() != client)) {
    Refuse({kInvalidParams, "Unknown sandboxId: " + id, {}});
    return nullptr;
  }
  if (found->second->autosave) found->second->autosave->Touch();
  return found->second;
}

std::optional<RpcError> Call::RoomRefusal(size_t asked_for) const {
  Server& server = client->server;
  if (server.sandboxes().size() + asked_for >= server.options().max_sandboxes) {
    return RpcError{kInvalidParams,
                    "Maximum of " + std::to_string(server.options().max_sandboxes) +
                        " concurrent sandboxes reached",
                    {}};
  }
  const std::optional<std::string> refusal = server.quota().Refusal();
  if (!refusal) return std::nullopt;
  return RpcError{kSandboxError, *refusal, "LIMIT_EXCEEDED"};
}

bool Call::HasRoom() {
  const std::optional<RpcError> refusal = RoomRefusal();
  if (refusal) Refuse(*refusal);
  return !refusal;
}

bool Call::HasMemory() {
  const std::optional<std::string> refusal = client->server.quota().Refusal();
  if (refusal) Refuse({kSandboxError, *refusal, "LIMIT_EXCEEDED"});
  return !refusal;
}

void Dispatch(std::shared_ptr<Client> client, Request request) {
  const auto call = std::make_shared<Call>(std::move(client), std::move(request));
  if (const MethodRow* method = FindMethod(call->request.method)) return Answer(*method, call);
  call->Refuse({kMethodNotFound, "Method not found: " + call->request.method, {}});
}

}  // namespace cordon::rpc
