#include "rpc/packages.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <ctime>
#include <utility>

#include "pkg/store.h"
#include "wasm/compile_cache.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr size_t kMostText = size_t{8} << 20;  // of a worker: an index

Json ErrorOf(const pkg::PackageError& error) {
  return {{"code", error.code}, {"message", error.message}};
}

Packages::Outcome OutcomeOf(const Json& answer) {
  Packages::Outcome outcome;
  outcome.error_code = answer.value("code", "");
  outcome.error_text = answer.value("message", "");
  outcome.name = answer.value("name", "");
  outcome.package = {answer.value("hash", ""), answer.value("size", uint64_t{0}),
                     answer.value("url", ""), time(nullptr)};
  return outcome;
}

Json Unanswered() {
  return {{"code", "E_PKG_FETCH"}, {"message", "the installing process ended"}};
}

// In the new process, which has the daemon's memory and none of its descriptors.
[[noreturn]] void BecomeWorker(const std::function<Json(const Packages::Line&)>& work, int pipe,
                               pid_t daemon) {
  constexpr int kPipe = 3;
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) (void)signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != daemon) _exit(125);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(pipe, kPipe) < 0 ||
      fcntl(kPipe, F_SETFD, FD_CLOEXEC) != 0 || syscall(SYS_close_range, kPipe + 1, ~0U, 0) != 0) {
    _exit(125);
  }
  const auto say = [](const Json& message) {
    const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    for (size_t done = 0; done < line.size();) {
      const ssize_t put = write(kPipe, line.data() + done, line.size() - done);
      if (put < 0) _exit(125);
      done += static_cast<size_t>(put);
    }
  };
  say({{"result", work([&](const std::string& line) { say({{"line", line}}); })}});
  _exit(0);
}

}  // namespace

// What a worker says, until it ends.
struct Packages::Job : std::enable_shared_from_this<Packages::Job> {
  Job(asio::io_context& loop, OwnedFd pipe) : input(loop, pipe.release()), lines(kMostText) {}

  void Read() {
    input.async_read_some(asio::buffer(buffer), [self = shared_from_this()](
                                                    const boost::system::error_code& error,
                                                    size_t count) {
      if (error) return self->then(self->result);
      self->lines.Add({self->buffer.data(), count});
      while (const auto line = self->lines.Next()) self->Take(line->text);
      self->Read();
    });
  }
  void Take(const std::string& line) {
    const Json message = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!message.is_object()) return;
    if (message.contains("line") && progress) progress(message["line"].get<std::string>());
    if (message.contains("result")) result = message["result"];
  }

  asio::posix::stream_descriptor input;
  LineReader lines;
  std::array<char, 16 * 1024> buffer = {};
  Line progress;
  std::function<void(const Json&)> then;
  Json result = Unanswered();
};

void Packages::RunWorker(std::function<Json(const Line&)> work, Line progress,
                         std::function<void(const Json&)> then) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return then(Unanswered());
  OwnedFd reader(ends[0]);
  const OwnedFd writer(ends[1]);
  const pid_t daemon = getpid();
  const pid_t pid = fork();
  if (pid < 0) return then(Unanswered());
  if (pid == 0) BecomeWorker(work, writer.get(), daemon);
  const auto job = std::make_shared<Job>(server_.loop(), std::move(reader));
  job->progress = std::move(progress);
  job->then = std::move(then);
  job->Read();
}

pkg::Tools Packages::ToolsOf() const {
  const ServerOptions& options = server_.options();
  return {{options.fetcher_path, options.ca_file}, options.compiler_path};
}

std::string Packages::ListText() const {
  Json list = Json::object();
  for (const auto& [name, package] : installed_) {
    list[name] = {{"sha256", package.hash},
                  {"size", package.size},
                  {"url", package.url},
                  {"installed", package.installed_seconds}};
  }
  return Json{{"version", 1}, {"packages", std::move(list)}}.dump(2) + "\n";
}

// The sandbox gets it, or it is not installed.
void Packages::Add(const std::shared_ptr<Sandbox>& sandbox, const std::string& name,
                   const InstalledPackage& package, const Then& then) {
  const auto before = installed_.find(name) == installed_.end()
                          ? std::optional<InstalledPackage>()
                          : std::optional(installed_[name]);
  installed_[name] = package;
  sandbox->link->Ask(
      {Kind::kPackageAdd, 0, {policy_.allow_shadowing ? 1 : 0},
       name + '\0' + package.hash + '\0' + ListText()},
      [self = shared_from_this(), name, package, before, then](const Frame& answer) {
        if (answer.kind != Kind::kDead && answer.arg[0] >= 0) {
          then({{}, {}, name, package, {}});
          return true;
        }
        self->installed_.erase(name);
        if (before) self->installed_[name] = *before;
        const bool is_there = answer.kind != Kind::kDead && answer.arg[0] == -EEXIST;
        then({is_there ? "E_PKG_EXISTS" : "E_PKG_FETCH", answer.payload, name, {}, {}});
        return true;
      });
}

void Packages::Install(const std::shared_ptr<Sandbox>& sandbox, const pkg::InstallRequest& request,
                       bool replaces, Line progress, Then then) {
  const auto refuse = [&](const char* code, const std::string& text) {
    then({code, text, request.name, {}, {}});
  };
  if (!policy_.enabled) return refuse("E_PKG_DISABLED", "Package installation is disabled");
  if (!replaces && installed_.size() >= policy_.max_installed) {
    return refuse("E_PKG_LIMIT",
                  "Maximum of " + std::to_string(policy_.max_installed) + " packages reached");
  }
  RunWorker(
      [tools = ToolsOf(), policy = policy_, request, replaces,
       known = installed_](const Line& line) -> Json {
        // Known before anything is brought: the name that the request or the URL gives.
        std::string name = request.name;
        if (name.empty()) {
          const auto url = pkg::ParseUrl(request.source);
          name = url ? pkg::NameOf(*url) : request.source;
        }
        if (!replaces && known.contains(name)) {
          return {{"code", "E_PKG_EXISTS"},
                  {"message", "Package '" + name + "' is already installed"}};
        }
        const auto installed = pkg::Install(tools, policy, request, line);
        if (!installed) return ErrorOf(installed.error());
        return {{"name", installed->name},
                {"hash", installed->hash},
                {"size", installed->size},
                {"url", installed->url}};
      },
      std::move(progress),
      [self = shared_from_this(), sandbox, replaces, then](const Json& answer) {
        const Outcome outcome = OutcomeOf(answer);
        if (!outcome.error_code.empty()) return then(outcome);
        // Another installation may have been faster.
        if (!replaces && self->installed_.size() >= self->policy_.max_installed) {
          return then({"E_PKG_LIMIT",
                       "Maximum of " + std::to_string(self->policy_.max_installed) +
                           " packages reached",
                       outcome.name,
                       {},
                       {}});
        }
        self->Add(sandbox, outcome.name, outcome.package, then);
      });
}

void Packages::Remove(const std::shared_ptr<Sandbox>& sandbox, const std::string& name, Then then) {
  const auto found = installed_.find(name);
  if (found == installed_.end()) {
    return then({"E_PKG_NOT_FOUND", "Package '" + name + "' is not installed", name, {}, {}});
  }
  installed_.erase(found);
  sandbox->link->Ask({Kind::kPackageRemove, 0, {}, name + '\0' + ListText()},
                     [name, then](const Frame& answer) {
                       const bool is_done = answer.kind != Kind::kDead && answer.arg[0] >= 0;
                       then({is_done ? "" : "E_PKG_FETCH", is_done ? "" : answer.payload, name, {}, {}});
                       return true;
                     });
}

void Packages::Search(Then then) {
  RunWorker(
      [tools = ToolsOf(), policy = policy_](const Line&) -> Json {
        const auto index = pkg::FetchIndex(tools, policy);
        if (!index) return ErrorOf(index.error());
        Json list = Json::object();
        for (const auto& [name, entry] : *index) {
          list[name] = {{"url", entry.url.ToString()},
                        {"sha256", entry.hash},
                        {"size", entry.size},
                        {"description", entry.description}};
        }
        return {{"index", std::move(list)}};
      },
      {},
      [then](const Json& answer) {
        Outcome outcome = OutcomeOf(answer);
        const Json list = answer.value("index", Json::object());
        for (const auto& [name, entry] : list.items()) {
          const auto url = pkg::ParseUrl(entry.value("url", ""));
          if (!url) continue;
          outcome.index[name] = {*url, entry.value("sha256", ""), entry.value("size", uint64_t{0}),
                                 entry.value("description", "")};
        }
        then(outcome);
      });
}

// A package of an import is held against this sandbox's policy like a new one, but for where it comes
// from.
void Packages::TakeOver(const std::shared_ptr<Sandbox>& sandbox, const Json& list, Then then) {
  if (list.empty()) return then({});
  Json rest = list;
  const std::string name = rest.begin().key();
  const Json entry = *rest.begin();
  rest.erase(rest.begin());
  const auto next = [self = shared_from_this(), sandbox, rest, then](const Outcome& outcome) {
    if (!outcome.error_code.empty()) then(outcome);
    self->TakeOver(sandbox, rest, then);
  };
  if (!policy_.enabled || !pkg::CheckName(name)) {
    return next({"E_PKG_DISABLED", "Package installation is disabled", name, {}, {}});
  }
  if (installed_.size() >= policy_.max_installed && !installed_.contains(name)) {
    return next({"E_PKG_LIMIT",
                 "Maximum of " + std::to_string(policy_.max_installed) + " packages reached", name, {}, {}});
  }
  sandbox->link->Ask(
      {Kind::kPackageKeep, 0, {}, name + '\0'},
      [self = shared_from_this(), sandbox, name, entry, next](const Frame& answer) {
        const bool is_kept = answer.kind != Kind::kDead && answer.arg[0] >= 0;
        const auto hash = is_kept ? pkg::CleanHash(answer.payload) : std::nullopt;
        const std::string said = entry.is_object() ? entry.value("sha256", "") : "";
        if (!hash || *hash != said) {
          next({"E_PKG_INTEGRITY", "its file is not there, or has another hash", name, {}, {}});
          return true;
        }
        const std::string url = entry.value("url", "");
        self->RunWorker(
            [tools = self->ToolsOf(), policy = self->policy_, hash = *hash, name,
             url](const Line& line) -> Json {
              const auto compiled = pkg::CompileStored(tools, policy, name, hash, line);
              if (!compiled) return ErrorOf(compiled.error());
              return {{"name", name}, {"hash", hash}, {"size", compiled->size}, {"url", url}};
            },
            {},
            [self, sandbox, next](const Json& told) {
              const Outcome outcome = OutcomeOf(told);
              if (!outcome.error_code.empty()) return next(outcome);
              self->Add(sandbox, outcome.name, outcome.package, next);
            });
        return true;
      });
}

}  // namespace cordon::rpc
