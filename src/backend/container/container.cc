#include "backend/container/container.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "backend/container/arguments.h"
#include "backend/end.h"
#include "backend/native/fit.h"
#include "backend/native/mount_calls.h"
#include "backend/supervisor/sources.h"
#include "backend/supervisor/supervisor.h"
#include "net/namespace_setup.h"

namespace cordon::backend {
namespace {

using policy::NetworkMode;
using policy::Plan;

// What podman itself sets where it may not set more.
constexpr uint64_t kMostProcesses = 32 * 1024;
constexpr int kEngineFailed = 125;
// The session's first process: it does nothing for 68 years.
constexpr const char* kIdle[] = {"sleep", "2147483647"};
// The engine does the work itself.
constexpr const char* kHere = "--remote=false";

std::unexpected<Error> Cannot(const std::string& what) {
  return Fail(ErrorCode::kUnsupported, "the wall container cannot enforce: " + what);
}

// A folder of files that the engine reads, gone with this object.
class Folder {
 public:
  static Result<Folder> Make(const std::string& above) {
    if (above.empty()) return Fail(ErrorCode::kInvalid, "no folder for files of the engine");
    const OwnedFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Result<OwnedFd> made = native::MakeDirectories(top.get(), above.substr(1), 0700);
    if (!made) return std::unexpected(made.error());
    std::string path = above + "/container-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return SystemError("mkdtemp(" + path + ")");
    return Folder(path);
  }
  Folder(Folder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder& operator=(Folder&&) = delete;
  ~Folder() {
    if (path_.empty()) return;
    for (const char* name : {"/variables", "/nothing", "/resolver"})
      (void)unlink((path_ + name).c_str());
    (void)rmdir((path_ + "/empty").c_str());
    (void)rmdir(path_.c_str());
  }

  Status Fill(const std::string& variables) const {
    CORDON_TRY(WriteFile("/variables", variables, 0600));
    CORDON_TRY(WriteFile("/nothing", "", 0444));
    CORDON_TRY(WriteFile("/resolver", net::kResolverFile, 0444));
    if (mkdir((path_ + "/empty").c_str(), 0555) != 0) return SystemError("mkdir(empty)");
    return {};
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Status WriteFile(const char* name, const std::string& text, mode_t mode) const {
    const OwnedFd file(open((path_ + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file.valid() ||
        write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return SystemError("open(" + path_ + name + ")");
    }
    return {};
  }
  std::string path_;
};

std::string EngineOf(const Plan& plan) {
  if (!plan.image->engine.empty()) return plan.image->engine;
  const auto is_there = [&plan](const char* name) { return !FindWallProgram(plan, name).empty(); };
  return !is_there("podman") && is_there("docker") ? "docker" : "podman";
}

EngineUse UseOf(const Plan& plan) {
  EngineUse use;
  use.engine = EngineOf(plan);
  use.uid = getuid();
  use.gid = getgid();
  use.rootless = use.engine == "podman" && use.uid != 0;
  rlimit most = {};
  if (getrlimit(RLIMIT_NOFILE, &most) == 0) use.descriptors = most.rlim_max;
  if (getrlimit(RLIMIT_NPROC, &most) == 0)
    use.processes = std::min<uint64_t>(most.rlim_max, kMostProcesses);
  if (getrlimit(RLIMIT_CORE, &most) == 0) use.core_bytes = std::min<uint64_t>(most.rlim_max, 1);
  use.name = "cordon-" + std::to_string(getpid());
  use.env_file = "FOLDER/variables";
  use.empty_file = "FOLDER/nothing";
  use.empty_folder = "FOLDER/empty";
  use.resolver_file = "FOLDER/resolver";
  return use;
}

// Where podman is an ordinary user's, version 1 of control groups is root's, and limits would be
// left out with a warning.
Status CheckLimits(const Plan& plan, const EngineUse& use) {
  const policy::LimitPlan& limits = plan.limits;
  const bool has_groups = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  if (use.rootless && !has_groups && (limits.memory_bytes || limits.processes || limits.cpus)) {
    return Cannot(
        "limits of memory, processes and processors for an ordinary user on control groups of "
        "version 1");
  }
  return {};
}

// The gateway's network is one that the engine is started in.
Status CheckGateway(const Plan& plan, const EngineUse& use) {
  std::string what = plan.network.mode == NetworkMode::kList ? "a list of hosts"
                                                             : "public addresses and nothing else";
  std::string who;
  if (use.engine != "podman") {
    who = " with docker, whose service makes containers in its own network";
  } else if (use.rootless) {
    who =
        " for an ordinary user, whose podman cannot be in a network that somebody else "
        "made";
  }
  if (!who.empty()) {
    what += who;
    what += "; the native wall can, and network: NAME gives a network of the engine as it is";
    return Cannot(what);
  }
  if (plan.image->reuse) return Cannot(what + " in a session, which outlives the gateway");
  if (!plan.network.ports.empty()) return Cannot("published ports together with " + what);
  for (const std::string& name : plan.rights.capabilities_added) {
    if (name == "ALL" || name == "NET_ADMIN" || name == "NET_RAW" || name == "SYS_ADMIN") {
      what += " with the capability " + name;
      return Cannot(what);
    }
  }
  return {};
}

class Engine {
 public:
  Engine(const PlanRun& run, EngineUse use, std::string path, const Folder& folder)
      : plan_(run.plan), use_(std::move(use)), path_(std::move(path)) {
    use_.env_file = folder.path() + "/variables";
    use_.empty_file = folder.path() + "/nothing";
    use_.empty_folder = folder.path() + "/empty";
    use_.resolver_file = folder.path() + "/resolver";
    if (!native::HasGateway(plan_)) return;
    gateway_ = run.gateway;
    network_log_ = run.network_log;
  }

  Status Prepare() {
    const policy::ImagePlan& image = *plan_.image;
    if (image.build_file.empty()) return gateway_.empty() ? Status() : Fetch(image);
    if (Quietly({"image", "inspect", image.tag})) return {};
    const std::string above = image.build_file.substr(0, image.build_file.rfind('/'));
    return Loudly({"build", "--tag", image.tag, "--file", image.build_file, above},
                  "the image could not be built");
  }

  // By the engine's own network, before it is the plan's.
  [[nodiscard]] Status Fetch(const policy::ImagePlan& image) const {
    const bool is_wanted =
        image.pull == "always" ||
        (image.pull != "never" && !Quietly({"image", "inspect", image.reference}));
    if (!is_wanted) return {};
    return Loudly({"pull", image.reference}, "the image could not be fetched");
  }

  Result<PlanReport> RunOne(const std::vector<std::string>& command) {
    if (plan_.image->reuse) return RunInSession(command);
    std::vector<std::string> words = {"run", "--rm", "--interactive"};
    CORDON_TRY(Append(&words, command.front()));
    words.insert(words.end(), command.begin() + 1, command.end());
    return Start(std::move(words), command);
  }

 private:
  // Options, image and, as the entry point, the program: whatever an image says is not run.
  Status Append(std::vector<std::string>* words, const std::string& program) {
    Result<std::vector<std::string>> options = MakeEngineOptions(plan_, use_);
    if (!options) return std::unexpected(options.error());
    words->insert(words->end(), options->begin(), options->end());
    words->insert(words->end(), {"--entrypoint", program, plan_.image->reference});
    return {};
  }

  Result<PlanReport> Start(std::vector<std::string> words, const std::vector<std::string>& command);
  Result<PlanReport> RunInSession(const std::vector<std::string>& command);

  [[nodiscard]] Outer Program(std::vector<std::string> words) const {
    Outer outer;
    outer.program = path_;
    outer.arguments = std::move(words);
    outer.arguments.insert(outer.arguments.begin(), use_.engine);
    outer.variables = OuterVariables(plan_);
    outer.limits = Outer::Limits::kItself;
    return outer;
  }
  [[nodiscard]] bool Quietly(std::vector<std::string> words) const;
  [[nodiscard]] Status Loudly(std::vector<std::string> words, const char* failure) const;

  const Plan& plan_;
  EngineUse use_;
  std::string path_;
  std::string gateway_;  // empty if the network is none of it
  std::string network_log_;
};

bool Engine::Quietly(std::vector<std::string> words) const {
  Plan quiet;
  quiet.limits.output_bytes = 0;
  const Result<PlanReport> report = Supervise(quiet, Program(std::move(words)));
  return report && report->exit_code == 0;
}

Status Engine::Loudly(std::vector<std::string> words, const char* failure) const {
  const Result<PlanReport> report = Supervise(Plan(), Program(std::move(words)));
  if (!report) return std::unexpected(report.error());
  if (report->exit_code != 0) return Fail(ErrorCode::kUnsupported, failure);
  return {};
}

Result<PlanReport> Engine::Start(std::vector<std::string> words,
                                 const std::vector<std::string>& command) {
  Outer outer = Program(std::move(words));
  if (!gateway_.empty()) {
    outer.gateway = gateway_;
    outer.network_log = network_log_;
    // A service elsewhere would have its own host's network.
    outer.arguments.insert(outer.arguments.begin() + 1, kHere);
    std::erase_if(outer.variables, [](const std::string& variable) {
      return variable.starts_with("CONTAINER_HOST=") || variable.starts_with("DOCKER_HOST=");
    });
  }
  outer.ending = {path_, "rm", "--force"};
  if (use_.engine == "podman") outer.ending.insert(outer.ending.end(), {"--time", "0"});
  outer.ending.push_back(use_.name);
  Result<PlanReport> report = Supervise(plan_, std::move(outer));
  if (!report || report->end != PlanReport::End::kExited) return report;
  if (report->exit_code == kEngineFailed) {
    report->reason = use_.engine + " ended with 125: its own failure, or the command's";
  } else if (report->exit_code == kNotExecutable || report->exit_code == kNoProgram) {
    report->end =
        report->exit_code == kNoProgram ? PlanReport::End::kNotFound : PlanReport::End::kNotRun;
    report->reason = command.front() + ": not executed, or ended so";
  }
  return report;
}

Result<PlanReport> Engine::RunInSession(const std::vector<std::string>& command) {
  // The name says for what it was made: another plan gets another session.
  use_.name = plan_.image->container_name + "-" + SessionKey(plan_);
  if (!Quietly({"start", use_.name})) {
    std::vector<std::string> words = {"create"};
    CORDON_TRY(Append(&words, kIdle[0]));
    words.emplace_back(kIdle[1]);
    if (!Quietly(std::move(words)) || !Quietly({"start", use_.name})) {
      return Fail(ErrorCode::kUnsupported,
                  use_.engine + " could not make the session " + use_.name + " of the image " +
                      plan_.image->reference + " (which needs the program sleep)");
    }
  }
  std::vector<std::string> words = {"exec",      "--interactive", "--env-file", use_.env_file,
                                    "--workdir", plan_.directory, use_.name};
  words.insert(words.end(), command.begin(), command.end());
  return Start(std::move(words), command);
}

}  // namespace

Status ContainerBackend::Check(const Plan& plan) const {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kContainer, "container"));
  if (!plan.image || plan.image->reference.empty()) {
    return Fail(ErrorCode::kInvalid, "the container wall needs an image");
  }
  if (native::HasGateway(plan)) CORDON_TRY(CheckGateway(plan, UseOf(plan)));
  if (plan.network.mode == NetworkMode::kHost) return Cannot("the host's network");
  if (plan.network.mode == NetworkMode::kOff && !plan.network.ports.empty()) {
    return Cannot("published ports without a network");
  }
  if (!plan.secrets.empty()) return Cannot("secrets as descriptors");
  if (plan.limits.disk_bytes) return Cannot("a limit of disk");
  if (plan.image->verify_signature) return Cannot("signatures of images");
  const Result<std::string> variables = MakeEnvFile(plan);
  if (!variables) return std::unexpected(variables.error());
  return CheckLimits(plan, UseOf(plan));
}

Result<std::string> ContainerBackend::Describe(const Plan& plan) const {
  if (!plan.image) return Fail(ErrorCode::kInvalid, "the container wall needs an image");
  const EngineUse use = UseOf(plan);
  const Result<std::vector<std::string>> options = MakeEngineOptions(plan, use);
  if (!options) return std::unexpected(options.error());
  std::vector<std::string> words = {use.engine};
  if (native::HasGateway(plan)) words.emplace_back(kHere);
  words.insert(words.end(), {"run", "--rm", "--interactive"});
  words.insert(words.end(), options->begin(), options->end());
  words.insert(words.end(), {"--entrypoint", plan.argv.front(), plan.image->reference});
  words.insert(words.end(), plan.argv.begin() + 1, plan.argv.end());
  return ShellText(words) + "\n";
}

Result<PlanReport> ContainerBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  EngineUse use = UseOf(run.plan);
  std::string path = FindWallProgram(run.plan, use.engine);
  if (path.empty()) return Fail(ErrorCode::kUnsupported, use.engine + ": not found");
  const Result<Folder> folder = Folder::Make(run.cache_folder);
  if (!folder) return std::unexpected(folder.error());
  const Result<std::string> variables = MakeEnvFile(run.plan);
  if (!variables) return std::unexpected(variables.error());
  CORDON_TRY(folder->Fill(*variables));
  Engine engine(run, std::move(use), std::move(path), *folder);
  CORDON_TRY(engine.Prepare());
  return RunInOrder(run.plan, run.plan.argv, [&](const std::vector<std::string>& command) {
    return engine.RunOne(command);
  });
}

}  // namespace cordon::backend
