// Packages of one sandbox.

#include <utility>

#include "client/ask.h"
#include "cordon/sandbox.h"

namespace cordon {

using client::AskOf;
using client::Json;
using client::Then;

namespace {

PackageInfo PackageOf(const Json& json) {
  return {.name = json.value("name", ""),
          .size_bytes = json.value("size", uint64_t{0}),
          .url = json.value("url", ""),
          .sha256 = json.value("sha256", ""),
          .installed_ms = json.value("installedMs", int64_t{0})};
}

client::Manner MannerOf(const LineHandler& on_progress, std::stop_token stop, Json* params) {
  client::Manner manner;
  manner.stop = std::move(stop);
  if (!on_progress) return manner;
  manner.on_progress = &on_progress;
  (*params)["progress"] = true;
  return manner;
}

}  // namespace

Result<PackageInfo> Sandbox::InstallPackage(const std::string& source,
                                            const InstallOptions& options) {
  Json params = {{"source", source}};
  if (!options.name.empty()) params["name"] = options.name;
  if (!options.sha256.empty()) params["sha256"] = options.sha256;
  const client::Manner manner = MannerOf(options.on_progress, options.stop, &params);
  return Then(AskOf(connection_, id_, "package.install", std::move(params), manner), PackageOf);
}

Result<std::pair<PackageInfo, bool>> Sandbox::UpdatePackage(const std::string& name,
                                                            const LineHandler& on_progress,
                                                            std::stop_token stop) {
  Json params = {{"name", name}};
  const client::Manner manner = MannerOf(on_progress, std::move(stop), &params);
  return Then(AskOf(connection_, id_, "package.update", std::move(params), manner),
              [](const Json& answer) {
                return std::pair(PackageOf(answer), answer.value("updated", false));
              });
}

Result<std::vector<PackageInfo>> Sandbox::ListPackages() {
  return Then(AskOf(connection_, id_, "package.list"), [](const Json& answer) {
    std::vector<PackageInfo> all;
    for (const Json& one : answer.value("packages", Json::array())) all.push_back(PackageOf(one));
    return all;
  });
}

Result<PackageInfo> Sandbox::GetPackage(const std::string& name) {
  return Then(AskOf(connection_, id_, "package.info", {{"name", name}}), PackageOf);
}

Result<std::vector<FoundPackage>> Sandbox::SearchPackages(const std::string& query) {
  return Then(AskOf(connection_, id_, "package.search", {{"query", query}}),
              [](const Json& answer) {
                std::vector<FoundPackage> all;
                for (const Json& one : answer.value("packages", Json::array())) {
                  all.push_back({.name = one.value("name", ""),
                                 .size_bytes = one.value("size", uint64_t{0}),
                                 .description = client::TextOf(one, "description"),
                                 .url = one.value("url", ""),
                                 .sha256 = one.value("sha256", "")});
                }
                return all;
              });
}

Status Sandbox::RemovePackage(const std::string& name) {
  return client::AskDone(connection_, id_, "package.remove", {{"name", name}});
}

}  // namespace cordon
