// Methods about commands that clients serve.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/call.h"
#include "rpc/extension_params.h"
#include "rpc/extensions.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr size_t kMostKnown = 256;

// The sandbox's; refuses the call when it is not ready.
std::shared_ptr<Extensions> TheExtensions(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return nullptr;
  if (!sandbox->extensions) call->Refuse({kSandboxError, "The sandbox is not ready", {}});
  return sandbox->extensions;
}

// What has to be put into the sandbox, and what came of it.
struct Placing {
  CallPtr call;
  std::shared_ptr<Sandbox> sandbox;
  std::vector<ExtensionParams> extensions;
  std::vector<std::string> placed;  // paths, to be taken back if not all can be
  size_t left = 0;
  std::optional<RpcError> error;
};

void Remove(const Sandbox& sandbox, const std::string& path) {
  (void)sandbox.link->Ask({Kind::kRemove, 0, {}, path + '\0'}, [](const Frame&) { return true; });
}

void Finish(Placing& placing) {
  if (placing.error) {
    for (const std::string& path : placing.placed) Remove(*placing.sandbox, path);
    return placing.call->Refuse(*placing.error);
  }
  Json names = Json::array();
  for (ExtensionParams& extension : placing.extensions) {
    names.push_back(extension.facts.name);
    placing.sandbox->extensions->Add(std::move(extension.facts), placing.call->client);
  }
  placing.call->Reply({{"names", names}});
}

// Answers come in the order of the requests.
void Place(const std::shared_ptr<Placing>& placing, Frame frame, const std::string& path) {
  ++placing->left;
  (void)placing->sandbox->link->Ask(std::move(frame), [placing, path](const Frame& answer) {
    const bool is_there = answer.kind == Kind::kAnswer && answer.arg[0] >= 0;
    if (is_there) {
      if (answer.arg[0] == 0) placing->placed.push_back(path);
    } else if (!placing->error) {
      placing->error = answer.kind == Kind::kAnswer
                           ? ErrorOf(static_cast<int>(-answer.arg[0]), answer.payload)
                           : RpcError{kSandboxError, answer.payload, {}};
    }
    if (--placing->left == 0) Finish(*placing);
    return true;
  });
}

std::string PathOf(const std::string& name) {
  return "/usr/local/bin/" + name;
}

}  // namespace

void ExtensionRegister(const CallPtr& call) {
  const std::shared_ptr<Extensions> extensions = TheExtensions(call);
  if (!extensions) return;
  Result<std::vector<ExtensionParams>> read = ReadExtensions(call->request.params);
  if (!read) return call->Refuse({kInvalidParams, read.error().message, {}});
  if (extensions->known().size() + read->size() > kMostKnown)
    return call->Refuse({kInvalidParams, "Maximum of 256 extensions reached", {}});
  for (const ExtensionParams& extension : *read) {
    if (!extensions->IsTaken(extension.facts.name, *call->client)) continue;
    return call->Refuse(
        {kInvalidParams, "Another client serves this extension: " + extension.facts.name, {}});
  }
  const auto placing = std::make_shared<Placing>();
  placing->call = call;
  placing->sandbox = call->TheSandbox();
  placing->extensions = std::move(*read);
  placing->left = 1;  // this one, until all is asked
  for (const ExtensionParams& extension : placing->extensions) {
    const std::string& name = extension.facts.name;
    Place(placing, {Kind::kAddCommand, 0, {}, name + '\0'}, PathOf(name));
    for (const auto& [path, bytes] : extension.files) {
      std::string payload = path;
      payload.append(1, '\0').append(bytes);
      Place(placing, {Kind::kWriteFile, 0, {0, 0644}, std::move(payload)}, path);
    }
  }
  if (--placing->left == 0) Finish(*placing);
}

void ExtensionRemove(const CallPtr& call) {
  const std::shared_ptr<Extensions> extensions = TheExtensions(call);
  const std::optional<std::string> name = extensions ? call->Text("name") : std::nullopt;
  if (!name) return;
  if (extensions->IsTaken(*name, *call->client))
    return call->Refuse({kInvalidParams, "Another client serves this extension: " + *name, {}});
  if (!extensions->Remove(*name))
    return call->Refuse({kInvalidParams, "Unknown extension: " + *name, {}});
  Remove(*call->TheSandbox(), PathOf(*name));
  call->Reply(Json::object());
}

void ExtensionList(const CallPtr& call) {
  const std::shared_ptr<Extensions> extensions = TheExtensions(call);
  if (!extensions) return;
  Json list = Json::array();
  for (const auto& [name, facts] : extensions->known()) list.push_back(ToJson(facts));
  call->Reply({{"extensions", list}});
}

void ExtensionRead(const CallPtr& call) {
  if (const std::shared_ptr<Extensions> extensions = TheExtensions(call)) extensions->Read(call);
}

void ExtensionWrite(const CallPtr& call) {
  if (const std::shared_ptr<Extensions> extensions = TheExtensions(call)) extensions->Write(call);
}

}  // namespace cordon::rpc
