#ifndef CORDON_RESULTS_H_
#define CORDON_RESULTS_H_

// What comes back from a daemon. docs/protocol.md has the meaning of each figure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon {

// What a command used, as the sandbox's kernel counted it for that command alone.
struct CommandUsage {
  double cpu_ms = 0;
  uint64_t memory_peak_bytes = 0;
  uint64_t processes = 0;  // that it started
  uint64_t stdout_bytes = 0, stderr_bytes = 0;
  uint64_t file_read_bytes = 0, file_written_bytes = 0;
};

struct CommandResult {
  int exit_code = 0;  // 124 after a time-out, 128 + n after a signal
  std::string out;
  std::string err;
  double execution_time_ms = 0;
  bool out_truncated = false;
  bool err_truncated = false;
  int signal = 0;  // that ended it, or 0
  std::string
      error_class;  // "TIMEOUT", "CANCELLED", "CAPABILITY_DENIED", "LIMIT_EXCEEDED" or empty
  CommandUsage usage = {};
};

struct FileInfo {
  enum class Type { kFile, kDirectory, kSymlink, kOther };
  std::string name;  // of an entry; empty from Stat
  Type type = Type::kFile;
  uint64_t size = 0;
  uint32_t mode = 0;  // permission bits
  int64_t mtime_ms = 0;
  std::string target;  // of a symlink
};

// What became of something in a directory that is watched. kOverflow: more is different than was
// told, so that one has to look.
struct FileEvent {
  enum class Type { kCreated, kChanged, kRemoved, kOverflow };
  Type type = Type::kChanged;
  std::string path;
};

struct Usage {
  uint64_t processes = 0;
  uint64_t processes_started = 0;
  uint64_t memory_bytes = 0;
  uint64_t memory_peak_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t file_count = 0;
};

// What became of an archive.
struct TransferReport {
  uint64_t entries = 0;
  std::string digest;                // of an export, "sha256:…"
  std::vector<std::string> skipped;  // what was left out, and why; at most the first hundred
  uint64_t skipped_count = 0;
};

struct SnapshotInfo {
  std::string id;  // its name, or its number
  int64_t created_ms = 0;
};

// A command of the session.
struct HistoryEntry {
  uint64_t index = 0;
  std::string command;
  int64_t started_ms = 0;  // since 1970, whole seconds
};

// What is installed in a sandbox; docs/packages.md. A refusal has its name, "E_PKG_HOST_DENIED" and
// others, as `place` of the error.
struct PackageInfo {
  std::string name;
  uint64_t size_bytes = 0;
  std::string url;
  std::string sha256;
  int64_t installed_ms = 0;  // since 1970
};

// What the policy's index has.
struct FoundPackage {
  std::string name;
  uint64_t size_bytes = 0;
  std::string description;
  std::string url;
  std::string sha256;
};

// What happened to a sandbox, as whoever decided it tells. Members that the type does not have are
// empty or zero.
struct AuditEvent {
  std::string type;        // "command.start", "capability.denied", …
  std::string sandbox;     // its id
  int64_t timestamp_ms{};  // since 1970
  uint64_t missed = 0;     // events before this one that nobody took

  // Of command.*: the first 1024 bytes; which one, by its request or its process.
  std::string command;
  std::optional<int64_t> request;
  std::optional<uint32_t> process;
  std::optional<int> exit_code;
  double execution_time_ms = 0;
  std::optional<CommandUsage> usage;
  std::string error_class;

  std::string limit;             // of limit.exceeded: its name in docs/protocol.md
  std::string capability, tool;  // of capability.denied
  std::string fork_of;           // of sandbox.create
  std::string reason;            // of a sandbox.destroy that nobody asked for

  // Of package.install.*; `code` and `message` say why it was refused.
  std::string package_source, package_name, package_sha256;
  std::string code, message;
};

// Of all sandboxes of a daemon; nothing but `sandboxes` where it has no limit for all together.
struct TotalUsage {
  uint64_t sandboxes = 0;
  std::optional<uint64_t> memory_bytes, processes;
  std::optional<uint64_t> most_memory_bytes, most_processes;
};

// What is saved under a name in a daemon's folder for states.
struct SavedState {
  std::string name;
  uint64_t size_bytes = 0;  // on the disk
  int64_t saved_ms = 0;     // since 1970
  bool in_use = false;      // a sandbox has it
  std::string sandbox;      // its id, if it may be used; otherwise empty
};

struct SandboxInfo {
  std::string id;
  bool detached = false;
  uint64_t running = 0;  // commands
  std::string label;
};

struct DaemonVersion {
  std::string version;
  int protocol = 0;
};

}  // namespace cordon

#endif  // CORDON_RESULTS_H_
