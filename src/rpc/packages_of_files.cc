// What the files of a sandbox say is installed: after an import, a load or a restore they are
// others than this daemon made, and anybody's. Each package is held against the policy like a new
// one.

#include <utility>

#include "live/package_calls.h"
#include "rpc/package_worker.h"
#include "rpc/packages.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;
using packages::InstalledPackage;
using packages::PackageCode;
using packages::PackageError;
using packages::PackageStatus;

constexpr int64_t kMostList = int64_t{1} << 20;

// The list in the sandbox, or nothing.
void ReadListOf(SandboxLink& link, std::function<void(packages::InstalledPackages)> then) {
  link.Ask({Kind::kReadFile, 0, {0, kMostList}, std::string(packages::kListFile) + '\0'},
           [then = std::move(then)](const Frame& answer) {
             const bool is_there = answer.kind == Kind::kAnswer && answer.arg[0] >= 0;
             then(is_there ? packages::ReadList(answer.payload) : packages::InstalledPackages());
             return true;
           });
}

std::string Reason(const std::string& name, const PackageError& error) {
  return "package " + name + ": " + error.message + " (" + packages::TextOf(error.code) + ")";
}

}  // namespace

struct Packages::TakingOver {
  packages::InstalledPackages left;
  std::vector<std::string> skipped;
  std::function<void(const std::vector<std::string>&)> then;
  std::function<void()> finish;
  // Given up where the sandbox ends; whoever waits hears what there is.
  ErrandPtr errand = std::make_shared<Errand>(Asker{}, nullptr);

  void Skip(const std::string& name, const PackageError& error) {
    skipped.push_back(Reason(name, error));
  }
};

void Packages::TakeOver(std::function<void(const std::vector<std::string>&)> then) {
  const auto state = std::make_shared<TakingOver>();
  state->then = std::move(then);
  const bool is_taken =
      queue_->Add(state->errand, [self = shared_from_this(), state](std::function<void()> finish) {
        state->finish = std::move(finish);
        self->installed_.clear();
        const auto link = self->LinkOf();
        if (!link) return self->TakeNext(state);
        ReadListOf(*link, [self, state](packages::InstalledPackages list) {
          state->left = std::move(list);
          self->TakeNext(state);
        });
      });
  if (!is_taken) state->then({"packages: too many installations wait for each other"});
}

void Packages::TakeNext(const std::shared_ptr<TakingOver>& state) {
  const auto link = LinkOf();
  if (state->left.empty() || !link) {
    state->then(state->skipped);
    return state->finish();
  }
  const auto entry = state->left.extract(state->left.begin());
  const std::string& name = entry.key();
  const InstalledPackage& package = entry.mapped();
  const auto url = packages::ParseUrl(package.url);
  const PackageStatus checks[] = {
      url ? packages::CheckHost(policy_, *url) : PackageStatus(std::unexpected(url.error())),
      packages::CheckName(name), CheckRoom(Mode::kInstall, name)};
  for (const PackageStatus& check : checks) {
    if (check) continue;
    state->Skip(name, check.error());
    return TakeNext(state);
  }
  link->Ask({Kind::kPackageKeep, 0, {}, name + '\0'},
            [self = shared_from_this(), state, name, package](const Frame& answer) {
              const bool is_kept = answer.kind != Kind::kDead && answer.arg[0] >= 0;
              self->TakeKept(state, name, package, is_kept ? answer.payload : "");
              return true;
            });
}

void Packages::TakeKept(const std::shared_ptr<TakingOver>& state, const std::string& name,
                        const InstalledPackage& entry, const std::string& hash) {
  if (hash != entry.hash) {
    state->Skip(name, {PackageCode::kIntegrity, "its file is not there, or has another hash"});
    return TakeNext(state);
  }
  const auto result = std::make_shared<Json>();
  state->errand->Use(server_.workers().Run(
      [tools = ToolsOf(), policy = policy_, name, hash](const Say& say) {
        const auto compiled =
            packages::CompileStored(tools, policy, name, hash, [](const auto&) {});
        if (compiled) return say({{"isOptimised", compiled->is_optimised}});
        say({{"code", packages::TextOf(compiled.error().code)},
             {"message", compiled.error().message}});
      },
      {[result](const Json& message) { *result = message; },
       [self = shared_from_this(), state, name, entry, result] {
         if (!result->is_object() || result->contains("code")) {
           const Json told = result->is_object() ? *result : Json::object();
           state->Skip(name, {packages::CodeOf(told.value("code", "")),
                              told.value("message", "the installing process ended")});
           return self->TakeNext(state);
         }
         const bool is_optimised = result->value("isOptimised", false);
         self->Add({name, entry.hash, entry.size, entry.url, is_optimised}, entry.installed_ms,
                   [self, state, name](const packages::PackageResult<Done>& done) {
                     if (!done) state->Skip(name, done.error());
                     self->TakeNext(state);
                   });
       }}));
}

void TakeOverPackages(const std::shared_ptr<Sandbox>& sandbox, Json report,
                      const std::function<void(const Json&)>& then) {
  const auto tell = [report = std::move(report), then](const std::vector<std::string>& skipped) {
    Json told = report;
    for (const std::string& line : skipped) {
      told["skipped"].push_back(line);
      told["skippedCount"] = told.value("skippedCount", 0) + 1;
    }
    then(told);
  };
  if (sandbox->packages) return sandbox->packages->TakeOver(tell);
  ReadListOf(*sandbox->link, [tell](const packages::InstalledPackages& list) {
    std::vector<std::string> skipped;
    for (const auto& [name, package] : list) {
      skipped.push_back(Reason(name, {PackageCode::kDisabled, "Package installation is disabled"}));
    }
    tell(skipped);
  });
}

bool ReadPackagePolicy(const CallPtr& call, live::LiveOptions* options,
                       const std::shared_ptr<Sandbox>& sandbox) {
  const Json& params = call->request.params;
  const Json security = params.value("security", Json::object());
  const Json given = params.contains("packagePolicy") ? params["packagePolicy"]
                                                      : security.value("packagePolicy", Json());
  if (given.is_null()) return true;
  auto policy = packages::ParsePolicy(given);
  if (!policy) {
    call->Refuse({kInvalidParams, policy.error(), {}});
    return false;
  }
  if (!policy->enabled) return true;
  options->sandbox.growing_code_bytes = live::kPackageCodeBytes;
  options->sandbox.serves_requests = true;
  sandbox->packages = std::make_shared<Packages>(call->client->server, sandbox, std::move(*policy));
  return true;
}

void InheritPackages(Server& server, const Sandbox& origin,
                     const std::shared_ptr<Sandbox>& sandbox) {
  if (!origin.packages) return;
  sandbox->packages = std::make_shared<Packages>(server, sandbox, origin.packages->policy(),
                                                 origin.packages->installed());
}

}  // namespace cordon::rpc
