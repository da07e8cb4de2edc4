#include "backend/nsjail/configuration.h"

#include <unistd.h>

#include <cmath>
#include <initializer_list>
#include <utility>

#include "backend/native/generated_files.h"
#include "backend/native/namespaces.h"
#include "backend/supervisor/sources.h"

namespace cordon::backend {
namespace {

using policy::Mount;
using policy::MountKind;

constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

// A string of the text form of protocol buffers.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      quoted += '\\';
      quoted += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) {
      char code[5];
      (void)snprintf(code, sizeof code, "\\%03o", static_cast<unsigned char>(letter));
      quoted += code;
    } else {
      quoted += letter;
    }
  }
  return quoted + "\"";
}

class Writer {
 public:
  explicit Writer(const policy::Plan& plan) : plan_(plan) {}

  Result<std::string> Write() {
    WriteNamespaces();
    WriteLimits();
    for (const policy::Variable& variable : plan_.environment) {
      Line("envar", Quoted(variable.name + "=" + variable.value));
    }
    for (size_t i = 0; i < plan_.mounts.size(); ++i) CORDON_TRY(WriteMount(i));
    text_ += "exec_bin {\n  path: " + Quoted(plan_.program) + "\n";
    for (size_t i = 1; i < plan_.argv.size(); ++i)
      text_ += "  arg: " + Quoted(plan_.argv[i]) + "\n";
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  using Fields = std::initializer_list<std::pair<const char*, std::string>>;
  void Line(const char* key, const std::string& value) {
    text_ += std::string(key) + ": " + value + "\n";
  }
  void AddMount(Fields fields) {
    text_ += "mount {\n";
    for (const auto& [key, value] : fields) text_ += std::string("  ") + key + ": " + value + "\n";
    text_ += "}\n";
  }

  void WriteNamespaces() {
    Line("mode", "ONCE");
    Line("hostname", Quoted("cordon"));
    Line("cwd", Quoted(plan_.directory));
    for (const char* name : {"clone_newnet", "clone_newuser", "clone_newns", "clone_newpid",
                             "clone_newipc", "clone_newuts", "clone_newcgroup"}) {
      Line(name, "true");
    }
    Line("keep_env", "false");
    Line("keep_caps", "false");
    Line("disable_no_new_privs", "false");
    const native::Identity identity = native::IdentityOf(getuid(), getgid());
    for (const auto& [key, inside, outside] : {std::tuple("uidmap", identity.uid, getuid()),
                                               std::tuple("gidmap", identity.gid, getgid())}) {
      text_ += std::string(key) + " { inside_id: " + Quoted(std::to_string(inside)) +
               " outside_id: " + Quoted(std::to_string(outside)) + " count: 1 }\n";
    }
  }

  void WriteLimits() {
    const policy::LimitPlan& limits = plan_.limits;
    const auto seconds = [](auto time) {
      return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count());
    };
    // Its own defaults are a megabyte of a file, 32 descriptors and ten minutes.
    Line("time_limit", limits.wall_time ? seconds(*limits.wall_time) : "0");
    Line("rlimit_as_type", "INF");
    Line("rlimit_fsize_type", "INF");
    Line("rlimit_core", "0");
    if (limits.cpu_time) {
      Line("rlimit_cpu", seconds(*limits.cpu_time));
    } else {
      Line("rlimit_cpu_type", "INF");
    }
    Line("rlimit_nofile", std::to_string(limits.open_files.value_or(1024)));
    if (limits.memory_bytes) Line("cgroup_mem_max", std::to_string(*limits.memory_bytes));
    if (limits.processes) Line("cgroup_pids_max", std::to_string(*limits.processes));
    if (limits.cpus) {
      Line("cgroup_cpu_ms_per_sec",
           std::to_string(static_cast<int>(std::lround(*limits.cpus * 1000))));
    }
  }

  void AddBind(const std::string& source, const std::string& target, bool read_only) {
    AddMount({{"src", Quoted(source)},
              {"dst", Quoted(target)},
              {"is_bind", "true"},
              {"rw", read_only ? "false" : "true"},
              {"nosuid", "true"},
              {"nodev", "true"}});
  }
  void AddText(const std::string& text, const std::string& target) {
    AddMount({{"src_content", Quoted(text)}, {"dst", Quoted(target)}, {"rw", "false"}});
  }
  void AddMemory(const std::string& target, bool read_only, const std::string& options) {
    AddMount({{"dst", Quoted(target)},
              {"fstype", Quoted("tmpfs")},
              {"options", Quoted(options)},
              {"rw", read_only ? "false" : "true"},
              {"nosuid", "true"},
              {"nodev", "true"}});
  }

  Status WriteMount(size_t index) {
    const Mount& mount = plan_.mounts[index];
    for (const Pin& pin : PinsOf(plan_, index)) {
      AddBind(pin.bind->source + "/" + pin.inner, pin.bind->target + "/" + pin.inner, false);
    }
    switch (mount.kind) {
      case MountKind::kCopy:
      case MountKind::kBind:
        AddBind(mount.source, mount.target, mount.read_only);
        return {};
      case MountKind::kLink:
        AddMount(
            {{"src", Quoted(mount.source)}, {"dst", Quoted(mount.target)}, {"is_symlink", "true"}});
        return {};
      case MountKind::kGenerated: {
        const Result<std::string> text =
            native::GeneratedText(mount.name, plan_, native::IdentityOf(getuid(), getgid()));
        if (!text) return std::unexpected(text.error());
        AddText(*text, mount.target);
        return {};
      }
      case MountKind::kTmpfs: {
        const bool is_open = mount.target == "/tmp" || mount.target == "/var/tmp";
        std::string options = is_open ? "mode=1777" : "mode=0755";
        if (mount.size_bytes) options += ",size=" + std::to_string(*mount.size_bytes);
        AddMemory(mount.target, mount.read_only, options);
        return {};
      }
      case MountKind::kProc:
        AddMount({{"dst", Quoted(mount.target)}, {"fstype", Quoted("proc")}, {"rw", "false"}});
        return {};
      case MountKind::kDev:
        for (const char* name : kDevices) {
          AddMount({{"src", Quoted(std::string("/dev/") + name)},
                    {"dst", Quoted(mount.target + "/" + name)},
                    {"is_bind", "true"},
                    {"rw", "true"}});
        }
        AddMemory(mount.target + "/shm", false, "mode=1777");
        return {};
      case MountKind::kMask:
        if (mount.type == policy::NodeType::kDirectory) {
          AddMemory(mount.target, true, "mode=0555");
        } else {
          AddText("", mount.target);
        }
        return {};
      case MountKind::kPlaceholder:
        break;
    }
    return Fail(ErrorCode::kUnsupported, "the wall nsjail cannot enforce: " + mount.target);
  }

  const policy::Plan& plan_;
  std::string text_;
};

}  // namespace

Status NsjailBackend::Check(const policy::Plan& plan) const {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kNsjail, "nsjail"));
  if (plan.network.mode != policy::NetworkMode::kOff || !plan.network.ports.empty()) {
    return Fail(ErrorCode::kUnsupported, "the wall nsjail cannot enforce: a network of this plan");
  }
  if (!plan.secrets.empty() || !plan.pre_run.empty() || plan.limits.output_bytes ||
      plan.limits.disk_bytes) {
    return Fail(ErrorCode::kUnsupported,
                "the wall nsjail cannot enforce: secrets as descriptors, commands before, limits "
                "of output or disk");
  }
  return Fail(ErrorCode::kUnsupported,
              "the wall nsjail is not executed in this version: its configuration (cordon plan "
              "--show-command) is made, and has never been run");
}

Result<std::string> NsjailBackend::Describe(const policy::Plan& plan) const {
  const policy::Plan shown = WithoutSecrets(plan);
  return Writer(shown).Write();
}

Result<PlanReport> NsjailBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  return Fail(ErrorCode::kInternal, "not executed");
}

}  // namespace cordon::backend
