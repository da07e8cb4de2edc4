#include "backend/container/arguments.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "backend/native/fit.h"
#include "backend/supervisor/sources.h"

namespace cordon::backend {
namespace {

using policy::Mount;
using policy::MountKind;

constexpr uint32_t kOrdinary = 1000;

// The engines read a mount as fields between commas, some as if it were a spreadsheet's.
Status CheckPath(const std::string& path) {
  if (path.find_first_of(",\"\n\r:") == std::string::npos) return {};
  return Fail(
      ErrorCode::kUnsupported,
      "the wall container cannot mount a path with a comma, colon, quote or line break: " + path);
}

class Options {
 public:
  Options(const policy::Plan& plan, const EngineUse& use) : plan_(plan), use_(use) {}

  Result<std::vector<std::string>> Write() {
    Add({"--name", use_.name, "--workdir", plan_.directory, "--env-file", use_.env_file,
         "--hostname", "cordon"});
    CORDON_TRY(WriteNetwork());
    CORDON_TRY(WriteUser());
    WriteRights();
    WriteLimits();
    for (size_t i = 0; i < plan_.mounts.size(); ++i) CORDON_TRY(WriteMount(i));
    return std::move(words_);
  }

 private:
  void Add(std::initializer_list<std::string> words) { words_.insert(words_.end(), words); }
  bool is_podman() const { return use_.engine == "podman"; }

  Status WriteNetwork() {
    const policy::NetworkPlan& network = plan_.network;
    if (network.mode == policy::NetworkMode::kNamed) {
      // Other containers' and the host's namespaces are no network of the engine's.
      if (network.name == "host" || network.name.find(':') != std::string::npos) {
        return Fail(ErrorCode::kUnsupported,
                    "the wall container cannot enforce: the network " + network.name);
      }
      Add({"--network", network.name});
      for (const policy::PortGrant& port : network.ports) {
        Add({"--publish",
             "127.0.0.1:" + std::to_string(port.host_port) + ":" + std::to_string(port.port)});
      }
      return {};
    }
    if (native::HasGateway(plan_)) return WriteGateway();
    Add({"--network", "none"});
    return {};
  }

  // The engine itself is started in the gateway's namespace, so that what it takes for the host's
  // network is that: nothing but a loopback. Of the machine's interfaces nothing is to be seen
  // either, where the engine shows the machine's /sys.
  Status WriteGateway() {
    Add({"--network", "host", "--security-opt", "mask=/sys/class/net:/sys/devices:/sys/module"});
    return AddBind(use_.resolver_file, "/etc/resolv.conf", true);
  }

  // The command's user is the caller, and an ordinary one inside.
  Status WriteUser() {
    if (plan_.rights.uid) {
      Add({"--user", std::to_string(*plan_.rights.uid) + ":" +
                         std::to_string(plan_.rights.gid.value_or(*plan_.rights.uid))});
      return {};
    }
    if (!plan_.rights.map_user) return {};
    if (is_podman() && use_.rootless) {
      Add({"--userns", "keep-id"});
      return {};
    }
    if (use_.uid != 0) {
      Add({"--user", std::to_string(use_.uid) + ":" + std::to_string(use_.gid)});
      return {};
    }
    if (!is_podman()) {
      return Fail(ErrorCode::kUnsupported,
                  "the wall container cannot enforce: an ordinary user inside for root outside "
                  "(docker maps no users; identity: {uid, gid} names one)");
    }
    // Root's files are the ordinary user's inside, and root inside is nobody outside.
    const std::string own = std::to_string(kOrdinary);
    for (const char* map : {"--uidmap", "--gidmap"}) {
      Add({map, "0:1:" + own, map, own + ":0:1"});
    }
    Add({"--user", own + ":" + own});
    return {};
  }

  void WriteRights() {
    Add({"--cap-drop", "ALL", "--security-opt", "no-new-privileges"});
    for (const std::string& name : plan_.rights.capabilities_added) Add({"--cap-add", name});
    if (!use_.filter_file.empty()) Add({"--security-opt", "seccomp=" + use_.filter_file});
    if (plan_.rights.read_only_root) Add({"--read-only"});
    if (is_podman()) Add({"--read-only-tmpfs=false"});
    // In the gateway's namespace nothing can be fetched: it has been.
    if (plan_.image && is_podman())
      Add({"--pull", native::HasGateway(plan_) ? "never" : plan_.image->pull});
  }

  void WriteLimits() {
    const policy::LimitPlan& limits = plan_.limits;
    if (limits.memory_bytes) {
      const std::string bytes = std::to_string(*limits.memory_bytes);
      Add({"--memory", bytes, "--memory-swap", bytes});
    }
    if (limits.processes) Add({"--pids-limit", std::to_string(*limits.processes)});
    if (limits.cpus) {
      char text[32];
      (void)snprintf(text, sizeof text, "%g", *limits.cpus);
      Add({"--cpus", text});
    }
    const auto ulimit = [&](const std::string& name, uint64_t value) {
      Add({"--ulimit", name + "=" + std::to_string(value) + ":" + std::to_string(value)});
    };
    ulimit("nofile", std::min(limits.open_files.value_or(use_.descriptors), use_.descriptors));
    ulimit("nproc", use_.processes);
    ulimit("core", use_.core_bytes);
    if (limits.cpu_time) {
      ulimit("cpu", static_cast<uint64_t>(
                        std::chrono::ceil<std::chrono::seconds>(*limits.cpu_time).count()));
    }
  }

  Status AddBind(const std::string& source, const std::string& target, bool read_only) {
    CORDON_TRY(CheckPath(source));
    CORDON_TRY(CheckPath(target));
    Add({"--mount",
         "type=bind,source=" + source + ",target=" + target + (read_only ? ",readonly" : "")});
    return {};
  }

  Status WriteMount(size_t index) {
    const Mount& mount = plan_.mounts[index];
    for (const Pin& pin : PinsOf(plan_, index)) {
      const std::string target = pin.bind->target + "/" + pin.inner;
      if (!pinned_.insert(target).second) continue;
      CORDON_TRY(AddBind(pin.bind->source + "/" + pin.inner, target, false));
    }
    switch (mount.kind) {
      case MountKind::kCopy:
      case MountKind::kBind: {
        // Looked at now, so that the plan's rules about links hold; the engine looks again.
        const Result<std::optional<OwnedFd>> source = OpenSource(mount);
        if (!source) return std::unexpected(source.error());
        return *source ? AddBind(mount.source, mount.target, mount.read_only) : Status();
      }
      case MountKind::kTmpfs: {
        CORDON_TRY(CheckPath(mount.target));
        const bool is_open = mount.target == "/tmp" || mount.target == "/var/tmp";
        const bool is_home = mount.name == "memory" && !is_open;
        std::string text = "type=tmpfs,destination=" + mount.target +
                           ",tmpfs-mode=" + (is_open || is_home ? "1777" : "755");
        if (mount.size_bytes) text += ",tmpfs-size=" + std::to_string(*mount.size_bytes);
        if (mount.read_only) text += ",readonly";
        // Empty, and not what the image has there.
        if (is_podman()) text += ",notmpcopyup";
        Add({"--mount", text});
        return {};
      }
      case MountKind::kMask:
        return AddBind(
            mount.type == policy::NodeType::kDirectory ? use_.empty_folder : use_.empty_file,
            mount.target, true);
      case MountKind::kLink:
      case MountKind::kGenerated:
      case MountKind::kProc:
      case MountKind::kDev:
      case MountKind::kPlaceholder:
        break;
    }
    return Fail(ErrorCode::kUnsupported,
                "the wall container cannot enforce: what is to be at " + mount.target);
  }

  const policy::Plan& plan_;
  const EngineUse& use_;
  std::vector<std::string> words_;
  std::set<std::string> pinned_;
};

}  // namespace

Result<std::vector<std::string>> MakeEngineOptions(const policy::Plan& plan, const EngineUse& use) {
  return Options(plan, use).Write();
}

Result<std::string> MakeEnvFile(const policy::Plan& plan) {
  std::string text;
  for (const policy::Variable& variable : plan.environment) {
    if (variable.value.find_first_of("\n\r") != std::string::npos) {
      return Fail(ErrorCode::kUnsupported,
                  "the wall container cannot give a variable with a line break: " + variable.name);
    }
    text += variable.name + "=" + variable.value + "\n";
  }
  return text;
}

std::string SessionKey(const policy::Plan& plan) {
  policy::Plan session = plan;
  session.argv.clear();
  session.program.clear();
  session.directory.clear();
  session.decision = {};
  session.pre_run.clear();
  session.notes.clear();
  session.lockfiles.clear();
  // Given to each command.
  session.environment.clear();
  session.denied.clear();
  session.limits.wall_time.reset();
  session.limits.output_bytes.reset();
  return policy::PlanHash(session).substr(0, 16);
}

}  // namespace cordon::backend
