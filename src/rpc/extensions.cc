#include "rpc/extensions.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "backend/end.h"
#include "live/host_calls.h"
#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr const char* kBuiltIn = "extensions";

// Arguments as text; the exact bytes beside it if that is another thing.
void PutArguments(Json& params, const std::vector<std::string>& arguments) {
  Json& texts = params["args"] = Json::array();
  for (const std::string& argument : arguments) texts.push_back(ValidText(argument));
  if (std::ranges::all_of(arguments, [](const auto& text) { return IsUtf8(text); })) return;
  Json& coded = params["argsBase64"] = Json::array();
  for (const std::string& argument : arguments) coded.push_back(EncodeBase64(argument));
}

Json EnvironmentOf(const std::vector<std::string>& variables) {
  Json object = Json::object();
  for (const std::string& variable : variables) {
    const size_t middle = variable.find('=');
    if (middle == 0 || middle == std::string::npos) continue;
    object[ValidText(variable.substr(0, middle))] = ValidText(variable.substr(middle + 1));
  }
  return object;
}

}  // namespace

bool Extensions::IsTaken(const std::string& name, const Client& by) const {
  const auto found = known_.clients.find(name);
  if (found == known_.clients.end()) return false;
  const std::shared_ptr<Client> client = found->second.lock();
  return client != nullptr && !client->closed() && client.get() != &by;
}

void Extensions::Add(ExtensionFacts facts, const std::shared_ptr<Client>& client) {
  known_.clients[facts.name] = client;
  known_[facts.name] = std::move(facts);
}

bool Extensions::Remove(const std::string& name) {
  known_.clients.erase(name);
  return known_.erase(name) == 1;
}

void Extensions::Hear(const Frame& frame) {
  const auto number = static_cast<uint32_t>(frame.arg[0]);
  const auto found = going_.find(number);
  switch (frame.kind) {
    case Kind::kHostCalled:
      return Begin(number, frame.payload);
    case Kind::kHostInput:
      if (found != going_.end()) TakeInput(found->second, frame);
      return;
    case Kind::kHostTaken:
      if (found != going_.end()) {
        const auto written = found->second.writing.extract(frame.arg[1]);
        if (!written.empty()) written.mapped()->Reply(Json::object());
      }
      return;
    case Kind::kHostGone:
      return Gone(number);
    case Kind::kDead:
      while (!going_.empty()) Gone(going_.begin()->first);
      return;
    default:
      return;
  }
}

void Extensions::Say(uint32_t number, int64_t stream, const std::string& bytes) {
  const std::shared_ptr<SandboxLink> link = link_.lock();
  if (link == nullptr) return;
  for (size_t done = 0; done < bytes.size(); done += live::kMaxPayload) {
    link->Tell({Kind::kHostOutput, 0, {number, stream}, bytes.substr(done, live::kMaxPayload)});
  }
}

void Extensions::Exit(uint32_t number, uint32_t status) {
  if (const std::shared_ptr<SandboxLink> link = link_.lock())
    link->Tell({Kind::kHostExit, 0, {number, status}, {}});
}

void Extensions::Fail(uint32_t number, const std::string& message, uint32_t status) {
  Say(number, 2, message + "\n");
  Exit(number, status);
}

void Extensions::Begin(uint32_t number, const std::string& payload) {
  std::optional<live::HostCallStart> start = live::ParseHostCall(payload);
  if (!start) return Exit(number, live::kHostCallFailed);
  if (start->name == kBuiltIn) {
    const CommandOutput said = ExtensionsCommand(start->arguments, known_);
    Say(number, 1, said.output);
    Say(number, 2, said.error);
    return Exit(number, said.status);
  }
  const auto found = known_.clients.find(start->name);
  if (found == known_.clients.end())
    return Fail(number, start->name + ": no such host function", backend::kNoProgram);
  const std::shared_ptr<Client> client = found->second.lock();
  if (client == nullptr || client->closed()) {
    return Fail(number, start->name + ": the client that served it has gone",
                live::kHostCallFailed);
  }
  Invocation& invocation = going_[number];
  invocation.start = std::move(*start);
  invocation.client = client;
  TellWhenTaken(client);
}

void Extensions::TellWhenTaken(const std::shared_ptr<Client>& client) {
  // One at a time: a client that takes nothing must not be waited for once for each call that a
  // guest makes meanwhile.
  if (!waits_for_.insert(client.get()).second) return;
  client->WhenTaken([weak = weak_from_this(), client = client.get()] {
    if (const std::shared_ptr<Extensions> it = weak.lock()) it->Tell(*client);
  });
}

void Extensions::Tell(const Client& client) {
  waits_for_.erase(&client);
  for (auto& [number, invocation] : going_) {
    const std::shared_ptr<Client> served = invocation.client.lock();
    if (invocation.id.empty() && served.get() == &client) Invoke(number, invocation, served);
  }
}

void Extensions::Invoke(uint32_t number, Invocation& invocation,
                        const std::shared_ptr<Client>& client) {
  const live::HostCallStart start = std::exchange(invocation.start, {});
  Json params = {
      {"sandboxId", sandbox_id_}, {"name", start.name}, {"env", EnvironmentOf(start.variables)}};
  PutBytes(params, "cwd", start.directory);
  PutArguments(params, start.arguments);
  invocation.start.name = start.name;
  invocation.id = client->Ask("extension.invoke", params,
                              [weak = weak_from_this(), number](const Reply& reply) {
                                const std::shared_ptr<Extensions> it = weak.lock();
                                if (it != nullptr) it->Finish(number, reply);
                              });
}

void Extensions::Finish(uint32_t number, const Reply& reply) {
  const auto found = going_.find(number);
  if (found == going_.end()) return;
  Invocation& invocation = found->second;
  invocation.is_answered = true;
  const std::string name = invocation.start.name;
  RefuseAll(invocation);
  if (reply.error) return Fail(number, name + ": " + *reply.error, 1);
  const auto output = TakeBytes(reply.result, "stdout");
  const auto error = TakeBytes(reply.result, "stderr");
  const auto status = reply.result.is_object() ? reply.result.find("exitCode") : reply.result.end();
  if (!output || !error || status == reply.result.end() || !status->is_number_integer()) {
    return Fail(number, name + ": the host function gave no {exitCode, stdout, stderr}",
                live::kHostCallFailed);
  }
  Say(number, 1, *output);
  Say(number, 2, *error);
  Exit(number, static_cast<uint32_t>(status->get<int64_t>()) & 255);
}

void Extensions::TakeInput(Invocation& invocation, const Frame& frame) {
  const CallPtr call = std::exchange(invocation.reading, nullptr);
  if (call == nullptr) return;
  Json result = {{"end", frame.arg[1] != 0}};
  PutData(result, "data", frame.payload);
  call->Reply(result);
}

void Extensions::RefuseAll(Invocation& invocation) {
  const auto refuse = [](const CallPtr& call) {
    call->RefuseErrno(EPIPE, "the command has ended");
  };
  if (const CallPtr reading = std::exchange(invocation.reading, nullptr)) refuse(reading);
  for (const auto& [stream, call] : std::exchange(invocation.writing, {})) refuse(call);
}

void Extensions::Gone(uint32_t number) {
  auto ended = going_.extract(number);
  if (ended.empty()) return;
  Invocation& invocation = ended.mapped();
  RefuseAll(invocation);
  if (invocation.is_answered) return;
  Exit(number, 0);
  const std::shared_ptr<Client> client = invocation.client.lock();
  if (client == nullptr || invocation.id.empty()) return;
  client->Forget(invocation.id);
  client->Send(NotificationMessage("extension.cancel",
                                   {{"sandboxId", sandbox_id_}, {"callId", invocation.id}}));
}

std::map<uint32_t, Extensions::Invocation>::iterator Extensions::Find(const CallPtr& call) {
  const std::optional<std::string> id = call->Text("callId");
  if (!id) return going_.end();
  const auto found = std::ranges::find_if(going_, [&](const auto& entry) {
    return entry.second.id == *id && !entry.second.is_answered &&
           entry.second.client.lock() == call->client;
  });
  // The end of a command and what its service asks may cross.
  if (found == going_.end()) call->RefuseErrno(EPIPE, "the command has ended");
  return found;
}

void Extensions::Read(const CallPtr& call) {
  const auto length = call->Number("length", 64 * 1024, 1, live::kMaxHostInput);
  if (!length) return;
  const auto found = Find(call);
  if (found == going_.end()) return;
  Invocation& invocation = found->second;
  if (invocation.reading != nullptr)
    return call->Refuse({kInvalidParams, "A read of this call is still going on", {}});
  const std::shared_ptr<SandboxLink> link = link_.lock();
  if (link == nullptr) return call->RefuseErrno(EPIPE, "the sandbox has ended");
  invocation.reading = call;
  link->Tell({Kind::kHostWant, 0, {found->first, *length}, {}});
}

void Extensions::Write(const CallPtr& call) {
  const Json name = call->request.params.value("stream", Json("stdout"));
  if (name != "stdout" && name != "stderr") {
    return call->Refuse({kInvalidParams, "Param must be \"stdout\" or \"stderr\": stream", {}});
  }
  const bool is_error = name == "stderr";
  const std::optional<std::string> bytes = call->Bytes("data");
  if (!bytes) return;
  const auto found = Find(call);
  if (found == going_.end()) return;
  if (bytes->empty()) return call->Reply(Json::object());
  const int64_t stream = is_error ? 2 : 1;
  CallPtr& writing = found->second.writing[stream];
  if (writing != nullptr)
    return call->Refuse({kInvalidParams, "A write to this stream is still going on", {}});
  writing = call;
  Say(found->first, stream, *bytes);
}

void Extensions::Leave(const Client& client) {
  for (auto& [number, invocation] : going_) {
    const std::shared_ptr<Client> served = invocation.client.lock();
    if (invocation.is_answered || (served != nullptr && served.get() != &client)) continue;
    invocation.is_answered = true;
    RefuseAll(invocation);
    Fail(number, invocation.start.name + ": the client that served it has gone",
         live::kHostCallFailed);
  }
  waits_for_.erase(&client);
}

}  // namespace cordon::rpc
