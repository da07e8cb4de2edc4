#ifndef CORDON_CORDON_H_
#define CORDON_CORDON_H_

// Sandboxes that live, for programs in C++23: what `cordon create`, `exec`, `cp`, `fork`, `export`
// and their like stand on, and the surface of the other SDKs. docs/protocol.md says what each
// method of the daemon does.
//
//   auto daemon = cordon::Client::Start();
//   auto sandbox = daemon->Create({.env = {{"GREETING", "hello"}}});
//   auto result = sandbox->Run("echo $GREETING | tr a-z A-Z");   // result->out == "HELLO\n"
//
// A command that fails is a result with an exit code. An Error says that there is no result: the
// daemon refused (kInvalid; of files kSystem with `system_errno`), or is gone (kSystem).
// Any thread may call anything; calls wait for their answer and do not hinder each other.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace cordon {

namespace client {
class Connection;
struct Running;
}  // namespace client

enum class Stream { kOut, kError };

// Bytes as they are written. Called on the connection's own thread: whoever asks the connection
// from there is refused, and until it returns nothing else arrives and the command waits.
using OutputHandler = std::function<void(Stream, std::string_view)>;

using Environment = std::map<std::string, std::string>;

// Upper limits; what is not set is the daemon's default.
struct Limits {
  std::optional<int64_t> timeout_ms;  // of each command; 0: none
  std::optional<int64_t> stdout_bytes;
  std::optional<int64_t> stderr_bytes;
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> fs_bytes;
  std::optional<int64_t> file_count;
  std::optional<int64_t> processes;
  std::optional<int64_t> command_bytes;
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
  Limits limits;
  std::optional<std::vector<std::string>> tools;  // programs that may be started; unset: all
  std::optional<PackagePolicy> packages;          // unset: none may be installed
  int nice = 0;                                   // 0 to 19
  std::string label;                              // for lists
  std::optional<Persistence> persistence;
  bool detached = false;  // it outlives the connection, and whoever knows its id may use it
};

struct RunOptions {
  std::optional<int64_t> timeout_ms;
  std::optional<int64_t> stdout_bytes;
  std::optional<int64_t> stderr_bytes;
  std::string input;        // its standard input
  OutputHandler on_output;  // if set, the result's `out` is empty
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

// What a command used, as the sandbox's kernel counted it for that command alone; docs/protocol.md
// has each figure's meaning.
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

// An archive in pieces of any size.
using Sink = std::function<Status(std::string_view)>;
using Source = std::function<Result<std::string>()>;  // an empty piece: the end

// A process that runs beside the session. Copies mean the same one.
class Process {
 public:
  // Returns when the process has room for all of it.
  [[nodiscard]] Status Write(std::string_view bytes);
  [[nodiscard]] Status CloseInput();
  // To it and all that it started.
  [[nodiscard]] Status Signal(int number);
  [[nodiscard]] Status Resize(TerminalSize size);
  [[nodiscard]] Status Kill();
  // Waits for its end. The result's `out` and `err` are empty: they went to `on_output`.
  [[nodiscard]] Result<CommandResult> Wait();

 private:
  friend class Sandbox;
  Process(std::shared_ptr<client::Connection> connection, std::shared_ptr<client::Running> running)
      : connection_(std::move(connection)), running_(std::move(running)) {}
  [[nodiscard]] Status Tell(const char* method, const std::map<std::string, int>& arguments = {});
  std::shared_ptr<client::Connection> connection_;
  std::shared_ptr<client::Running> running_;
};

// One sandbox. It ends with this object unless it is detached. Paths that are not absolute begin in
// /home/user.
class Sandbox {
 public:
  Sandbox(Sandbox&& other) noexcept = default;
  Sandbox& operator=(Sandbox&& other) noexcept;
  ~Sandbox();

  [[nodiscard]] const std::string& id() const { return id_; }

  // In the session's shell, which keeps directory, variables, functions and jobs.
  [[nodiscard]] Result<CommandResult> Run(std::string_view script, const RunOptions& options = {});
  // A process beside the session.
  [[nodiscard]] Result<CommandResult> Exec(const std::vector<std::string>& argv,
                                           const ExecOptions& options = {});
  [[nodiscard]] Result<Process> Spawn(const std::vector<std::string>& argv,
                                      const SpawnOptions& options = {});
  // Ends what this connection runs here; how many those were.
  [[nodiscard]] Result<int> Cancel();

  [[nodiscard]] Result<std::string> ReadFile(const std::string& path, uint64_t offset = 0,
                                             std::optional<uint64_t> length = {});
  // The same in pieces, each asked for when `sink` has taken the one before.
  [[nodiscard]] Status ReadFileTo(const std::string& path, const Sink& sink);
  // Replaces the file in one step. Parents are made.
  [[nodiscard]] Status WriteFile(const std::string& path, std::string_view bytes,
                                 std::optional<uint32_t> mode = {});
  // The same of what `source` gives: the file has its place when that has ended, and nothing is
  // left if it fails.
  [[nodiscard]] Status WriteFileFrom(const std::string& path, const Source& source,
                                     std::optional<uint32_t> mode = {});
  [[nodiscard]] Status AppendFile(const std::string& path, std::string_view bytes);
  [[nodiscard]] Result<std::vector<FileInfo>> List(const std::string& path);
  // Of the path itself: links are not followed.
  [[nodiscard]] Result<FileInfo> Stat(const std::string& path);
  [[nodiscard]] Status MakeDirectory(const std::string& path, uint32_t mode = 0755);
  [[nodiscard]] Status Remove(const std::string& path);
  [[nodiscard]] Status Rename(const std::string& from, const std::string& to);
  [[nodiscard]] Status Copy(const std::string& from, const std::string& to);
  [[nodiscard]] Status Symlink(const std::string& target, const std::string& path);
  [[nodiscard]] Status Chmod(const std::string& path, uint32_t mode);
  // A directory's contents as a tar (pax), out and in; in also compressed by gzip or zstd.
  [[nodiscard]] Result<TransferReport> Pack(const std::string& path, const Sink& sink);
  [[nodiscard]] Result<TransferReport> Unpack(const std::string& path, const Source& source);

  [[nodiscard]] Status SetEnv(const std::string& name, const std::string& value);
  // Nothing: it is not set.
  [[nodiscard]] Result<std::optional<std::string>> GetEnv(const std::string& name);

  // A copy in the middle of what it does. It is detached if that is said.
  [[nodiscard]] Result<Sandbox> Fork(bool detached = false);
  // So many, each with its own answer.
  [[nodiscard]] Result<std::vector<Result<Sandbox>>> ForkMany(int count, bool detached = false);
  // Files and the session's shell, under a name or a number, which is returned.
  [[nodiscard]] Result<std::string> Snapshot(const std::string& name = {});
  [[nodiscard]] Status Restore(const std::string& snapshot);
  [[nodiscard]] Result<std::vector<std::string>> Snapshots();
  [[nodiscard]] Status DeleteSnapshot(const std::string& snapshot);

  // Files and what the session knows, as an OCI image layout in a tar.
  [[nodiscard]] Result<TransferReport> Export(const Sink& sink);
  // Into an empty regular file that is open for writing, not for appending: the sandbox's keeper
  // writes there itself. Who gets an error finds a part of it.
  [[nodiscard]] Result<TransferReport> ExportTo(int file);
  enum class ImportMode { kReplace, kMerge };
  [[nodiscard]] Result<TransferReport> Import(const Source& source,
                                              ImportMode mode = ImportMode::kReplace);
  // Into the namespace of its persistence. False: nothing was new.
  [[nodiscard]] Result<bool> Save();
  // False: nothing was saved.
  [[nodiscard]] Result<bool> Load();

  [[nodiscard]] Result<Usage> GetUsage();
  // Ends everything in it. What could not be saved is an error.
  [[nodiscard]] Status Destroy();

 private:
  friend class Client;
  Sandbox(std::shared_ptr<client::Connection> connection, std::string id, bool ends_with_this)
      : connection_(std::move(connection)), id_(std::move(id)), ends_with_this_(ends_with_this) {}

  std::shared_ptr<client::Connection> connection_;  // null: destroyed
  std::string id_;
  bool ends_with_this_ = false;
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

// A connection to a daemon. It lives as long as this or a sandbox of it does.
class Client {
 public:
  // A daemon of its own, which ends with the connection. `program` is the `cordon` to start; empty:
  // $CORDON, or the one in the PATH.
  [[nodiscard]] static Result<Client> Start(const std::string& program = {});
  // To `cordon serve --unix`.
  [[nodiscard]] static Result<Client> Connect(const std::string& path);

  [[nodiscard]] Result<Sandbox> Create(const CreateOptions& options = {});
  // One that is detached; its end is not this object's.
  [[nodiscard]] Sandbox Open(std::string id);
  [[nodiscard]] Result<std::vector<SandboxInfo>> List();
  [[nodiscard]] Result<TotalUsage> GetTotalUsage();
  [[nodiscard]] Result<std::vector<SavedState>> ListSaved();
  // Refused while a sandbox has it.
  [[nodiscard]] Status DeleteSaved(const std::string& name);

 private:
  explicit Client(std::shared_ptr<client::Connection> connection)
      : connection_(std::move(connection)) {}
  std::shared_ptr<client::Connection> connection_;
};

}  // namespace cordon

#endif  // CORDON_CORDON_H_
