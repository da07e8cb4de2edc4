#ifndef CORDON_OPTIONS_H_
#define CORDON_OPTIONS_H_

// What sandboxes and commands are begun with. What is not set is the daemon's default.
//
// Handlers are called on the connection's own thread: whoever asks the connection from there is
// refused, and until a handler returns nothing else arrives.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cordon/extensions.h"
#include "cordon/mounts.h"
#include "cordon/results.h"

namespace cordon {

enum class Stream { kOut, kError };

// Bytes as they are written. The command waits until it returns.
using OutputHandler = std::function<void(Stream, std::string_view)>;
// What happens to a sandbox, in order, before the call returns that caused it.
using AuditHandler = std::function<void(const AuditEvent&)>;
using FileHandler = std::function<void(const FileEvent&)>;
// A line about what goes on.
using LineHandler = std::function<void(const std::string&)>;

// An archive or a file in pieces of any size.
using Sink = std::function<Status(std::string_view)>;
using Source = std::function<Result<std::string>()>;  // an empty piece: the end

using Environment = std::map<std::string, std::string>;

// Upper limits.
struct Limits {
  std::optional<int64_t> timeout_ms;  // of each command; 0: none
  std::optional<int64_t> stdout_bytes;
  std::optional<int64_t> stderr_bytes;
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> fs_bytes;
  std::optional<int64_t> file_count;
  std::optional<int64_t> processes;
  std::optional<int64_t> command_bytes;
  std::optional<int64_t> rpc_bytes;  // of one request about it
};

// Where a sandbox is saved: a namespace has one sandbox at a time.
struct Persistence {
  enum class Mode {
    kSession,     // saved and loaded on request
    kPersistent,  // loaded now, saved while things happen and at the end
  };
  Mode mode = Mode::kSession;
  std::string name = "default";  // 1 to 100 letters, digits, dots, dashes, underscores
  std::optional<int64_t> autosave_ms;
};

// What may be installed in a sandbox while it runs; docs/packages.md has each member.
struct PackagePolicy {
  std::vector<std::string> allowed_hosts;  // empty: every host with a public address
  std::optional<int64_t> max_package_bytes;
  std::optional<int64_t> max_installed_packages;
  bool require_integrity = false;
  bool allow_shadowing = false;
  bool allow_private_hosts = false;
  std::string index;      // URL; empty: none
  std::string index_key;  // minisign's public key; empty: any index will do
};

struct CreateOptions {
  std::string directory;  // where its shell begins, made if it is not there; empty: /home/user
  Environment env;
  std::vector<std::string> python_path;  // where Python looks for modules
  Limits limits;
  std::optional<std::vector<std::string>> tools;  // programs that may be started; unset: all
  std::optional<PackagePolicy> packages;          // unset: none may be installed
  int nice = 0;                                   // 0 to 19
  std::string label;                              // for lists
  std::optional<Persistence> persistence;
  bool detached = false;      // it outlives the connection, and whoever knows its id may use it
  std::vector<Mount> mounts;  // from the beginning
  std::vector<Extension> extensions;  // commands that this program serves
  AuditHandler on_audit_event;        // its forks', too
  LineHandler on_save_failed;         // why a persistent sandbox was not saved; that is tried again
};

// `size` sandboxes wait for who creates one of their kind, and one that was taken is replaced after
// `interval_ms`, while there are fewer than `most` in all.
struct PoolSizes {
  int size = 1;
  std::optional<int> most;
  std::optional<int64_t> interval_ms;
};

struct RunOptions {
  std::optional<int64_t> timeout_ms;
  std::optional<int64_t> stdout_bytes;
  std::optional<int64_t> stderr_bytes;
  std::string input;        // its standard input
  OutputHandler on_output;  // if set, the result's `out` and `err` are empty
  std::stop_token stop;     // cancels this command alone
};

struct ExecOptions : RunOptions {
  Environment env;
  std::string cwd;
};

struct TerminalSize {
  int rows = 24;
  int columns = 80;
};

struct SpawnOptions {
  Environment env;
  std::string cwd;
  int64_t timeout_ms = 0;                // none
  std::optional<TerminalSize> terminal;  // its three streams are one
  OutputHandler on_output;
};

struct InstallOptions {
  std::string name;         // empty: what the URL or the index says
  std::string sha256;       // that it must have; empty: what the index says
  LineHandler on_progress;  // lines about what goes on
  std::stop_token stop;     // gives it up: E_PKG_CANCELLED
};

struct WatchOptions {
  bool recursive = false;  // what is below its directories, too
};

}  // namespace cordon

#endif  // CORDON_OPTIONS_H_
