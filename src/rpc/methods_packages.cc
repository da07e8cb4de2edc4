// Methods about packages.

#include <string>

#include "rpc/call.h"
#include "rpc/packages.h"

namespace cordon::rpc {
namespace {

void RefusePackage(const CallPtr& call, const std::string& code, const std::string& text) {
  call->Refuse({kSandboxError, text, code});
}

Json Describe(const std::string& name, const InstalledPackage& package) {
  return {{"name", name},
          {"size", package.size},
          {"url", package.url},
          {"sha256", package.hash},
          {"installedMs", package.installed_seconds * 1000}};
}

// Null, and refused, where there are none.
std::shared_ptr<Sandbox> WithPackages(const CallPtr& call) {
  std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return nullptr;
  if (sandbox->packages != nullptr && sandbox->packages->policy().enabled) return sandbox;
  RefusePackage(call, "E_PKG_DISABLED", "Package installation is disabled");
  return nullptr;
}

std::optional<std::string> Optional(const CallPtr& call, const char* name) {
  return call->Has(name) ? call->Text(name) : std::string();
}

void InstallFor(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
                const pkg::InstallRequest& request, bool replaces) {
  sandbox->packages->Install(sandbox, request, replaces, {},
                             [call](const Packages::Outcome& outcome) {
                               if (!outcome.error_code.empty()) {
                                 return RefusePackage(call, outcome.error_code, outcome.error_text);
                               }
                               call->Reply(Describe(outcome.name, outcome.package));
                             });
}

}  // namespace

void PackagesInstall(const CallPtr& call) {
  const auto sandbox = WithPackages(call);
  if (!sandbox) return;
  const auto source = call->Text("source");
  if (!source) return;
  const auto name = Optional(call, "name");
  if (!name) return;
  const auto hash = Optional(call, "sha256");
  if (!hash) return;
  InstallFor(call, sandbox, {*source, *name, *hash}, false);
}

void PackagesUpdate(const CallPtr& call) {
  const auto sandbox = WithPackages(call);
  if (!sandbox) return;
  const auto name = call->Text("name");
  if (!name) return;
  const auto found = sandbox->packages->installed().find(*name);
  if (found == sandbox->packages->installed().end()) {
    return RefusePackage(call, "E_PKG_NOT_FOUND", "Package '" + *name + "' is not installed");
  }
  const bool has_index = !sandbox->packages->policy().index.empty();
  InstallFor(call, sandbox, {has_index ? *name : found->second.url, *name, {}}, true);
}

void PackagesRemove(const CallPtr& call) {
  const auto sandbox = WithPackages(call);
  if (!sandbox) return;
  const auto name = call->Text("name");
  if (!name) return;
  sandbox->packages->Remove(sandbox, *name, [call](const Packages::Outcome& outcome) {
    if (!outcome.error_code.empty()) {
      return RefusePackage(call, outcome.error_code, outcome.error_text);
    }
    call->Reply(Json::object());
  });
}

void PackagesList(const CallPtr& call) {
  const auto sandbox = WithPackages(call);
  if (!sandbox) return;
  Json list = Json::array();
  for (const auto& [name, package] : sandbox->packages->installed()) {
    list.push_back(Describe(name, package));
  }
  call->Reply({{"packages", std::move(list)}});
}

void PackagesSearch(const CallPtr& call) {
  const auto sandbox = WithPackages(call);
  if (!sandbox) return;
  sandbox->packages->Search([call](const Packages::Outcome& outcome) {
    if (!outcome.error_code.empty()) {
      return RefusePackage(call, outcome.error_code, outcome.error_text);
    }
    Json list = Json::array();
    for (const auto& [name, entry] : outcome.index) {
      list.push_back({{"name", name}, {"size", entry.size}, {"description", entry.description}});
    }
    call->Reply({{"packages", std::move(list)}});
  });
}

}  // namespace cordon::rpc
