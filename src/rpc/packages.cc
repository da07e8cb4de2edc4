#include "rpc/packages.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include "live/package_calls.h"
#include "rpc/audit.h"
#include "rpc/package_worker.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;
using packages::Installed;
using packages::InstalledPackage;
using packages::PackageCode;
using packages::PackageError;
using packages::PackageResult;
using packages::PackageStatus;
using packages::Refuse;

constexpr const char* kTooMany = "too many installations wait for each other";

Json ErrorOf(const PackageError& error) {
  return {{"code", packages::TextOf(error.code)}, {"message", error.message}};
}

Json Describe(const Installed& package) {
  return {{"name", package.name},
          {"hash", package.hash},
          {"size", package.size},
          {"url", package.url},
          {"isOptimised", package.is_optimised}};
}

// What a worker said last.
PackageResult<Installed> ReadInstalled(const Json& told) {
  if (!told.is_object()) return Refuse(PackageCode::kFetch, "the installing process ended");
  if (told.contains("code")) {
    return Refuse(packages::CodeOf(told.value("code", "")), told.value("message", ""));
  }
  return Installed{told.value("name", ""), told.value("hash", ""), told.value("size", uint64_t{0}),
                   told.value("url", ""), told.value("isOptimised", false)};
}

PackageError AnswerError(const Frame& answer) {
  if (answer.kind == Kind::kDead) return {PackageCode::kFetch, answer.payload};
  const auto number = static_cast<int>(-answer.arg[0]);
  const bool is_full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  const PackageCode code = number == EEXIST ? PackageCode::kExists
                           : is_full        ? PackageCode::kLimit
                                            : PackageCode::kFetch;
  return {code, answer.payload};
}

bool IsGood(const Frame& answer) {
  return answer.kind != Kind::kDead && answer.arg[0] >= 0;
}

int64_t NowMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Work that brings a package, in a worker: lines, and what came of it.
std::function<void(const Say&)> Telling(
    std::function<PackageResult<Installed>(const packages::Progress&)> work) {
  return [work = std::move(work)](const Say& say) {
    const auto installed = work([&say](const std::string& line) { say({{"line", line}}); });
    say({{"result", installed ? Describe(*installed) : ErrorOf(installed.error())}});
  };
}

// `then` hears the result, or that there is none.
WorkerListener Hearing(const Packages::Line& line, std::function<void(const Json&)> then) {
  const auto result = std::make_shared<Json>();
  return {[line, result](const Json& message) {
            if (message.contains("line") && line) line(message["line"].get<std::string>());
            if (message.contains("result")) *result = message["result"];
          },
          [result, then = std::move(then)] { then(*result); }};
}

std::unexpected<PackageError> NoSandbox() {
  return Refuse(PackageCode::kFetch, "Sandbox has been destroyed");
}
std::unexpected<PackageError> GivenUp() {
  return Refuse(PackageCode::kCancelled, "given up: nobody waits for it any more");
}

template <typename T>
ErrandPtr NewErrand(const Asker& asker, const Packages::Then<T>& then) {
  return std::make_shared<Errand>(asker, [then] { then(GivenUp()); });
}

// Whoever waits hears of it once, and then it is the next one's turn.
template <typename T>
Packages::Then<T> Ending(const ErrandPtr& errand, const Packages::Then<T>& then,
                         const std::function<void()>& finish) {
  return [errand, then, finish](const PackageResult<T>& done) {
    errand->Commit();
    if (!errand->is_given_up()) then(done);
    finish();
  };
}

}  // namespace

packages::Tools Packages::ToolsOf() const {
  const ServerOptions& options = server_.options();
  return {{options.fetcher_path, options.ca_file}, options.compiler_path};
}

std::shared_ptr<SandboxLink> Packages::LinkOf() const {
  const auto sandbox = sandbox_.lock();
  return sandbox && !sandbox->link->closed() ? sandbox->link : nullptr;
}

// To whoever owns the sandbox: what the reference calls package.install.start, denied and complete.
void Packages::Audit(const char* type, Json details) const {
  if (const auto sandbox = sandbox_.lock()) rpc::Audit(*sandbox, type, std::move(details));
}

PackageResult<Packages::Done> Packages::Find(const std::string& name) const {
  const auto found = installed_.find(name);
  if (found == installed_.end()) {
    return Refuse(PackageCode::kNotFound,
                  "Package '" + packages::Shown(name) + "' is not installed");
  }
  return Done{name, found->second, false};
}

PackageStatus Packages::CheckRoom(Mode mode, const std::string& name) const {
  if (mode == Mode::kUpdate) return {};
  if (installed_.contains(name)) {
    return Refuse(PackageCode::kExists, "Package '" + name + "' is already installed");
  }
  if (installed_.size() >= policy_.max_installed) {
    return Refuse(PackageCode::kLimit,
                  "Maximum of " + std::to_string(policy_.max_installed) + " packages reached");
  }
  return {};
}

void Packages::Install(const Asker& asker, const packages::InstallRequest& request,
                       const Line& line, const Then<Done>& then) {
  Audit("package.install.start", {{"source", request.source}, {"name", request.name}});
  const Then<Done> told = [self = shared_from_this(), request,
                           then](const PackageResult<Done>& done) {
    Json details = {{"source", request.source}};
    if (done) {
      details["name"] = done->name;
      details["sha256"] = done->package.hash;
      details["size"] = done->package.size;
    } else {
      details.update(ErrorOf(done.error()));
    }
    const bool is_given_up = !done && done.error().code == PackageCode::kCancelled;
    self->Audit(done          ? "package.install.complete"
                : is_given_up ? "package.install.cancelled"
                              : "package.install.denied",
                details);
    then(done);
  };
  const ErrandPtr errand = NewErrand(asker, told);
  const bool is_taken = queue_->Add(
      errand, [self = shared_from_this(), request, line, told, errand](const auto& finish) {
        self->Bring({Mode::kInstall, request, line, errand, Ending(errand, told, finish)});
      });
  if (!is_taken) told(Refuse(PackageCode::kLimit, kTooMany));
}

void Packages::Update(const Asker& asker, const std::string& name, const Line& line,
                      const Then<Done>& then) {
  const ErrandPtr errand = NewErrand(asker, then);
  const bool is_taken = queue_->Add(errand, [self = shared_from_this(), name, line, then,
                                             errand](const auto& finish) {
    const Then<Done> end = Ending(errand, then, finish);
    const auto before = self->Find(name);
    if (!before) return end(std::unexpected(before.error()));
    const std::string& source = self->policy_.index.empty() ? before->package.url : before->name;
    self->Bring({Mode::kUpdate,
                 {source, name, {}},
                 line,
                 errand,
                 [end, hash = before->package.hash](const PackageResult<Done>& done) {
                   PackageResult<Done> told = done;
                   if (told) told->is_new = told->package.hash != hash;
                   end(told);
                 }});
  });
  if (!is_taken) then(Refuse(PackageCode::kLimit, kTooMany));
}

void Packages::Bring(const Order& order) {
  const auto name = packages::NameOf(order.request);
  if (!name) return order.then(std::unexpected(name.error()));
  const PackageStatus room = CheckRoom(order.mode, *name);
  if (!room) return order.then(std::unexpected(room.error()));
  const auto link = LinkOf();
  if (!link) return order.then(NoSandbox());
  // What cannot be installed is not fetched.
  link->Ask({Kind::kPackageCheck, 0, {policy_.allow_shadowing ? 1 : 0}, *name + '\0'},
            [self = shared_from_this(), order](const Frame& answer) {
              if (!IsGood(answer)) {
                order.then(std::unexpected(AnswerError(answer)));
              } else if (order.errand->is_given_up()) {
                order.then(GivenUp());
              } else {
                self->RunInstall(order);
              }
              return true;
            });
}

void Packages::RunInstall(const Order& order) {
  order.errand->Use(server_.workers().Run(
      Telling([tools = ToolsOf(), policy = policy_,
               request = order.request](const packages::Progress& progress) {
        return packages::Install(tools, policy, request, progress);
      }),
      Hearing(order.line, [self = shared_from_this(), order](const Json& told) {
        const auto brought = ReadInstalled(told);
        if (order.errand->is_given_up()) return order.then(GivenUp());
        if (!brought) return order.then(std::unexpected(brought.error()));
        order.errand->Commit();
        self->Add(*brought, NowMs(), order.then);
      })));
}

void Packages::Add(const Installed& brought, int64_t installed_ms, const Then<Done>& then) {
  const auto link = LinkOf();
  if (!link) return then(NoSandbox());
  const InstalledPackage package = {brought.hash, brought.size, brought.url, installed_ms};
  packages::InstalledPackages after = installed_;
  after[brought.name] = package;
  const std::string list = packages::WriteList(after);
  link->Ask({Kind::kPackageAdd,
             0,
             {policy_.allow_shadowing ? 1 : 0},
             brought.name + '\0' + brought.hash + '\0' + list},
            [self = shared_from_this(), brought, package, then](const Frame& answer) {
              if (!IsGood(answer)) {
                then(std::unexpected(AnswerError(answer)));
                return true;
              }
              self->installed_[brought.name] = package;
              if (!brought.is_optimised) self->Improve(brought.hash);
              then(Done{brought.name, package, true});
              return true;
            });
}

void Packages::Improve(const std::string& hash) {
  server_.optimiser().Want(ToolsOf(), hash, [sandbox = sandbox_, hash] {
    const auto it = sandbox.lock();
    if (!it || it->link->closed()) return;
    // What runs goes on as it is; what is started from now on is the better one.
    it->link->Ask({Kind::kPackageImprove, 0, {}, hash}, [](const Frame&) { return true; });
  });
}

void Packages::Remove(const Asker& asker, const std::string& name, const Then<std::string>& then) {
  const ErrandPtr errand = NewErrand(asker, then);
  const auto work = [self = shared_from_this(), name, then, errand](const auto& finish) {
    const Then<std::string> end = Ending(errand, then, finish);
    const auto found = self->Find(name);
    const auto link = self->LinkOf();
    if (!found) return end(std::unexpected(found.error()));
    if (!link) return end(NoSandbox());
    packages::InstalledPackages after = self->installed_;
    after.erase(name);
    errand->Commit();
    link->Ask({Kind::kPackageRemove, 0, {}, name + '\0' + packages::WriteList(after)},
              [self, name, end](const Frame& answer) {
                if (!IsGood(answer)) {
                  end(std::unexpected(AnswerError(answer)));
                  return true;
                }
                self->installed_.erase(name);
                end(name);
                return true;
              });
  };
  if (!queue_->Add(errand, work)) then(Refuse(PackageCode::kLimit, kTooMany));
}

void Packages::Search(const Asker& asker, const std::string& text,
                      const Then<packages::Index>& then) {
  const ErrandPtr errand = NewErrand(asker, then);
  queue_->Watch(errand);
  errand->Use(server_.workers().Run(
      [tools = ToolsOf(), policy = policy_, text](const Say& say) {
        const auto index = packages::FetchIndex(tools, policy);
        if (!index) return say({{"result", ErrorOf(index.error())}});
        Json entries = Json::object();
        for (const auto& [name, entry] : *index) {
          if (name.find(text) == std::string::npos &&
              entry.description.find(text) == std::string::npos) {
            continue;
          }
          entries[name] = {{"url", entry.url.ToString()},
                           {"sha256", entry.hash},
                           {"size", entry.size},
                           {"description", entry.description}};
        }
        say({{"result", {{"entries", std::move(entries)}}}});
      },
      Hearing({}, [errand, end = Ending(errand, then, [] {})](const Json& told) {
        if (errand->is_given_up()) return;
        const auto failed = ReadInstalled(told);
        if (!failed) return end(std::unexpected(failed.error()));
        packages::Index index;
        for (const auto& [name, entry] : told["entries"].items()) {
          const auto url = packages::ParseUrl(entry.value("url", ""));
          if (!url) continue;
          index[name] = {*url, entry.value("sha256", ""), entry.value("size", uint64_t{0}),
                         entry.value("description", "")};
        }
        end(index);
      })));
}

}  // namespace cordon::rpc
