// Commands of one sandbox that this program serves.

#include <algorithm>
#include <utility>

#include "client/ask.h"
#include "cordon/sandbox.h"
#include "rpc/base64.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
using client::Json;
using client::Then;

namespace {

constexpr size_t kMostOutput = size_t{256} << 10;  // on its way
constexpr int kMostInput = 128 << 10;

Json DescribedPackage(const PythonPackage& package) {
  Json files = Json::object();
  for (const auto& [path, bytes] : package.files) files[path] = rpc::EncodeBase64(bytes);
  return {{"version", package.version}, {"summary", package.summary}, {"filesBase64", files}};
}

Json Described(const Extension& extension) {
  Json json = {{"name", extension.name},
               {"description", extension.description},
               {"examples", extension.examples}};
  if (!extension.usage.empty()) json["usage"] = extension.usage;
  if (!extension.category.empty()) json["category"] = extension.category;
  if (extension.python_package) json["pythonPackage"] = DescribedPackage(*extension.python_package);
  return json;
}

}  // namespace

Result<std::vector<std::string>> Sandbox::RegisterExtensions(
    const std::vector<Extension>& extensions) {
  if (!connection_) return std::unexpected(client::Destroyed());
  Json described = Json::array();
  for (const Extension& one : extensions) {
    if (!one.command) return Fail(ErrorCode::kInvalid, "extension " + one.name + " has no command");
    described.push_back(Described(one));
  }
  // One may be called before the daemon has said that it is there.
  client::ExtensionHost& host = connection_->extensions();
  client::ExtensionHost::Handlers before = host.Add(id_, extensions);
  const Result<Json> answer =
      AskOf(connection_, id_, "extension.register", {{"extensions", std::move(described)}});
  if (!answer) host.Set(id_, std::move(before));
  return Then(answer, [](const Json& told) {
    return told.value("names", Json::array()).get<std::vector<std::string>>();
  });
}

Status Sandbox::RemoveExtension(const std::string& name) {
  CORDON_TRY(AskDone(connection_, id_, "extension.remove", {{"name", name}}));
  connection_->extensions().Remove(id_, name);
  return {};
}

Result<std::vector<ExtensionInfo>> Sandbox::ListExtensions() {
  return Then(AskOf(connection_, id_, "extension.list"), [](const Json& answer) {
    std::vector<ExtensionInfo> all;
    for (const Json& one : answer.value("extensions", Json::array())) {
      all.push_back({one.value("name", ""), one.value("description", ""), one.value("usage", ""),
                     one.value("examples", std::vector<std::string>()), one.value("category", "")});
    }
    return all;
  });
}

Result<std::string> ExtensionCall::Read() {
  if (ended_) return std::string();
  const Result<Json> piece = connection_.Ask(
      "extension.read", {{"sandboxId", sandbox_}, {"callId", id_}, {"length", kMostInput}});
  if (!piece) return std::unexpected(piece.error());
  ended_ = piece->value("end", true);
  return client::TextOf(*piece, "data");
}

Result<std::string> ExtensionCall::ReadAll() {
  std::string all;
  for (;;) {
    const Result<std::string> piece = Read();
    if (!piece) return piece;
    if (piece->empty()) return all;
    all += *piece;
  }
}

Status ExtensionCall::WriteTo(const char* stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kMostOutput);
    const Result<Json> written =
        connection_.Ask("extension.write", {{"sandboxId", sandbox_},
                                            {"callId", id_},
                                            {"stream", stream},
                                            {"data", client::BytesOf(piece)}});
    if (!written) return std::unexpected(written.error());
    bytes.remove_prefix(piece.size());
  }
  return {};
}

Status ExtensionCall::Write(std::string_view bytes) {
  return WriteTo("stdout", bytes);
}

Status ExtensionCall::WriteError(std::string_view bytes) {
  return WriteTo("stderr", bytes);
}

}  // namespace cordon
