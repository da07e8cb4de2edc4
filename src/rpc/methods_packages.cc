// Methods about packages.

#include <string>

#include "rpc/call.h"
#include "rpc/packages.h"

namespace cordon::rpc {
namespace {

using packages::PackageError;
using packages::PackageResult;

void RefusePackage(const CallPtr& call, const PackageError& error) {
  call->Refuse({kSandboxError, error.message, packages::TextOf(error.code)});
}

Json Describe(const std::string& name, const packages::InstalledPackage& package) {
  return {{"name", name},
          {"size", package.size},
          {"url", package.url},
          {"sha256", package.hash},
          {"installedMs", package.installed_ms}};
}

// Null, and refused, where there are none.
std::shared_ptr<Packages> ThePackages(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return nullptr;
  if (sandbox->packages) return sandbox->packages;
  RefusePackage(call, {packages::PackageCode::kDisabled, "Package installation is disabled"});
  return nullptr;
}

// As it was given: what a host, a name or a hash may be is decided where packages are.
std::optional<std::string> AnyText(const CallPtr& call, const char* name, bool is_needed) {
  const auto found = call->request.params.find(name);
  const bool is_there = found != call->request.params.end() && !found->is_null();
  if (!is_there && !is_needed) return std::string();
  if (is_there && found->is_string()) return found->get<std::string>();
  call->Refuse(
      {kInvalidParams,
       std::string(is_there ? "Param must be a string: " : "Missing required param: ") + name,
       {}});
  return std::nullopt;
}

// Notifications while it goes on, for who wants them. Nothing: the call is refused.
std::optional<Packages::Line> ProgressOf(const CallPtr& call) {
  const auto is_wanted = call->Flag("progress");
  if (!is_wanted) return std::nullopt;
  if (!*is_wanted) return Packages::Line();
  return [call](const std::string& line) {
    call->client->Send(
        NotificationMessage("package.progress", {{"requestId", call->request.id}, {"text", line}}));
  };
}

Asker AskerOf(const CallPtr& call) {
  return {call->client.get(), call->request.id, -1, 0};
}

}  // namespace

void PackageInstall(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  packages::InstallRequest request;
  const struct {
    const char* name;
    std::string* text;
    bool is_needed;
  } texts[] = {{"source", &request.source, true},
               {"name", &request.name, false},
               {"sha256", &request.expected, false}};
  for (const auto& [name, text, is_needed] : texts) {
    const auto given = AnyText(call, name, is_needed);
    if (!given) return;
    *text = *given;
  }
  const auto progress = ProgressOf(call);
  if (!progress) return;
  all->Install(AskerOf(call), request, *progress,
               [call](const PackageResult<Packages::Done>& done) {
                 if (!done) return RefusePackage(call, done.error());
                 call->Reply(Describe(done->name, done->package));
               });
}

void PackageUpdate(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  const auto name = AnyText(call, "name", true);
  if (!name) return;
  const auto progress = ProgressOf(call);
  if (!progress) return;
  all->Update(AskerOf(call), *name, *progress, [call](const PackageResult<Packages::Done>& done) {
    if (!done) return RefusePackage(call, done.error());
    Json result = Describe(done->name, done->package);
    result["updated"] = done->is_new;
    call->Reply(result);
  });
}

void PackageRemove(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  const auto name = AnyText(call, "name", true);
  if (!name) return;
  all->Remove(AskerOf(call), *name, [call](const PackageResult<std::string>& removed) {
    if (!removed) return RefusePackage(call, removed.error());
    call->Reply(Json::object());
  });
}

void PackageList(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  Json list = Json::array();
  for (const auto& [name, package] : all->installed()) list.push_back(Describe(name, package));
  call->Reply({{"packages", std::move(list)}});
}

void PackageInfo(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  const auto name = AnyText(call, "name", true);
  if (!name) return;
  const auto found = all->Find(*name);
  if (!found) return RefusePackage(call, found.error());
  call->Reply(Describe(found->name, found->package));
}

void PackageSearch(const CallPtr& call) {
  const auto all = ThePackages(call);
  if (!all) return;
  const auto query = AnyText(call, "query", false);
  if (!query) return;
  all->Search(AskerOf(call), *query, [call](const PackageResult<packages::Index>& index) {
    if (!index) return RefusePackage(call, index.error());
    Json list = Json::array();
    for (const auto& [name, entry] : *index) {
      list.push_back({{"name", name},
                      {"size", entry.size},
                      {"description", entry.description},
                      {"url", entry.url.ToString()},
                      {"sha256", entry.hash}});
    }
    call->Reply({{"packages", std::move(list)}});
  });
}

}  // namespace cordon::rpc
