#include "backend/sandbox_exec/profile.h"

#include "backend/supervisor/sources.h"

namespace cordon::backend {
namespace {

using policy::MountKind;

// A string of its language: control characters have no form there.
Result<std::string> Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20) {
      return Fail(ErrorCode::kUnsupported,
                  "the wall sandbox-exec cannot name a path with control characters");
    }
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "\"";
}

Status AddRule(std::string* text, const char* verdict, const char* what, const char* kind,
               const std::string& path) {
  const Result<std::string> quoted = Quoted(path);
  if (!quoted) return std::unexpected(quoted.error());
  *text += std::string("(") + verdict + " " + what + " (" + kind + " " + *quoted + "))\n";
  return {};
}

const char* KindOf(const policy::Mount& mount) {
  return mount.type == policy::NodeType::kFile ? "literal" : "subpath";
}

}  // namespace

// The last rule that fits decides: what is hidden comes after what is shown.
Result<std::string> SandboxExecBackend::Describe(const policy::Plan& plan) const {
  std::string text =
      "(version 1)\n(deny default)\n(allow process-fork)\n(allow process-exec)\n"
      "(allow signal (target same-sandbox))\n(allow sysctl-read)\n"
      "(allow file-read-metadata (literal \"/\"))\n";
  for (const char* folder : {"/System", "/usr", "/bin", "/sbin", "/private/var/db/dyld"}) {
    CORDON_TRY(AddRule(&text, "allow", "file-read*", "subpath", folder));
  }
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty"}) {
    CORDON_TRY(AddRule(&text, "allow", "file-read* file-write-data", "literal", device));
  }
  for (const policy::Mount& mount : plan.mounts) {
    if (mount.kind == MountKind::kBind) {
      const bool is_read_only = mount.read_only;
      CORDON_TRY(AddRule(&text, "allow", is_read_only ? "file-read*" : "file-read* file-write*",
                         KindOf(mount), mount.source));
      // A part that is read-only of a directory that is not.
      if (is_read_only)
        CORDON_TRY(AddRule(&text, "deny", "file-write*", KindOf(mount), mount.source));
    } else if (mount.kind == MountKind::kMask || mount.kind == MountKind::kPlaceholder) {
      CORDON_TRY(AddRule(&text, "deny", "file-read* file-write*", KindOf(mount), mount.target));
    }
  }
  text += plan.network.mode == policy::NetworkMode::kOff ? "(deny network*)\n" : "";
  return text;
}

Status SandboxExecBackend::Check(const policy::Plan& plan) const {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kSandboxExec, "sandbox-exec"));
  return Fail(ErrorCode::kUnsupported,
              "the wall sandbox-exec is not executed in this version: its profile (cordon plan "
              "--show-command) is made, and has never been run");
}

Result<PlanReport> SandboxExecBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  return Fail(ErrorCode::kInternal, "not executed");
}

}  // namespace cordon::backend
