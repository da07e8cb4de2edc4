#ifndef CORDON_SANDBOX_H_
#define CORDON_SANDBOX_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cordon/options.h"
#include "cordon/results.h"

namespace cordon {

namespace client {
class Connection;
struct Running;
}  // namespace client

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

// A directory that is watched, until this ends.
class Watch {
 public:
  Watch(Watch&& other) noexcept = default;
  Watch& operator=(Watch&& other) noexcept;
  ~Watch();

  // When it has returned the handler is not called any more. Not from a handler.
  [[nodiscard]] Status Stop();

 private:
  friend class Sandbox;
  Watch(std::shared_ptr<client::Connection> connection, uint32_t id)
      : connection_(std::move(connection)), id_(id) {}
  std::shared_ptr<client::Connection> connection_;  // null: stopped
  uint32_t id_ = 0;
};

// One sandbox. It ends with this object unless it is detached. Paths that are not absolute begin in
// /home/user.
class Sandbox {
 public:
  Sandbox(Sandbox&& other) noexcept = default;
  Sandbox& operator=(Sandbox&& other) noexcept;
  ~Sandbox();

  [[nodiscard]] const std::string& id() const { return id_; }
  // Whether a persistent sandbox began with what was saved before.
  [[nodiscard]] bool loaded() const { return loaded_; }
  // Of that: what was left out, and why.
  [[nodiscard]] const std::vector<std::string>& skipped() const { return skipped_; }

  // In the session's shell, which keeps directory, variables, functions and jobs.
  [[nodiscard]] Result<CommandResult> Run(std::string_view script, const RunOptions& options = {});
  // A process beside the session.
  [[nodiscard]] Result<CommandResult> Exec(const std::vector<std::string>& argv,
                                           const ExecOptions& options = {});
  [[nodiscard]] Result<Process> Spawn(const std::vector<std::string>& argv,
                                      const SpawnOptions& options = {});
  // Ends what this connection runs here; how many those were.
  [[nodiscard]] Result<int> Cancel();
  // The session's commands, at most 1000.
  [[nodiscard]] Result<std::vector<HistoryEntry>> History();
  [[nodiscard]] Status ClearHistory();

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
  [[nodiscard]] Result<bool> Exists(const std::string& path);
  [[nodiscard]] Status MakeDirectory(const std::string& path, uint32_t mode = 0755);
  [[nodiscard]] Status Remove(const std::string& path);
  [[nodiscard]] Status Rename(const std::string& from, const std::string& to);
  [[nodiscard]] Status Copy(const std::string& from, const std::string& to);
  [[nodiscard]] Status Symlink(const std::string& target, const std::string& path);
  [[nodiscard]] Status Chmod(const std::string& path, uint32_t mode);
  // What becomes of a directory, in whose path are no links. Events come together, a moment after
  // what they tell of; what was undone in between does not come.
  [[nodiscard]] Result<Watch> WatchFiles(const std::string& path, FileHandler handler,
                                         const WatchOptions& options = {});
  // A directory's contents as a tar (pax), out and in; in also compressed by gzip or zstd.
  [[nodiscard]] Result<TransferReport> Pack(const std::string& path, const Sink& sink);
  [[nodiscard]] Result<TransferReport> Unpack(const std::string& path, const Source& source);

  [[nodiscard]] Status SetEnv(const std::string& name, const std::string& value);
  // Nothing: it is not set.
  [[nodiscard]] Result<std::optional<std::string>> GetEnv(const std::string& name);

  // A WASI command module, from an https URL or by its name in the policy's index.
  [[nodiscard]] Result<PackageInfo> InstallPackage(const std::string& source,
                                                   const InstallOptions& options = {});
  // Again, from the index where there is one, otherwise from where it came. True: it is another
  // one.
  [[nodiscard]] Result<std::pair<PackageInfo, bool>> UpdatePackage(
      const std::string& name, const LineHandler& on_progress = {}, std::stop_token stop = {});
  [[nodiscard]] Result<std::vector<PackageInfo>> ListPackages();
  [[nodiscard]] Result<PackageInfo> GetPackage(const std::string& name);
  // What the policy's index has with `query` in its name or description.
  [[nodiscard]] Result<std::vector<FoundPackage>> SearchPackages(const std::string& query = {});
  [[nodiscard]] Status RemovePackage(const std::string& name);

  // What was there before is seen again after Unmount.
  [[nodiscard]] Status Mount(const std::string& path, const MountSource& source);
  [[nodiscard]] Status Unmount(const std::string& path);

  // More commands that this program serves, of this sandbox and forks that are made from now on;
  // their names.
  [[nodiscard]] Result<std::vector<std::string>> RegisterExtensions(
      const std::vector<Extension>& extensions);
  // Calls that go on are not touched.
  [[nodiscard]] Status RemoveExtension(const std::string& name);
  // Whoever serves them.
  [[nodiscard]] Result<std::vector<ExtensionInfo>> ListExtensions();

  // A copy in the middle of what it does. It is detached if that is said.
  [[nodiscard]] Result<Sandbox> Fork(bool detached = false);
  // So many, each with its own answer.
  [[nodiscard]] Result<std::vector<Result<Sandbox>>> ForkMany(int count, bool detached = false);
  // Everything in it stands still, and what is asked waits, until Resume. No time passes for
  // commands that run.
  [[nodiscard]] Status Suspend();
  [[nodiscard]] Status Resume();
  // Files and the session's shell, under a name or a number, which is returned.
  [[nodiscard]] Result<std::string> Snapshot(const std::string& name = {});
  [[nodiscard]] Status Restore(const std::string& snapshot);
  [[nodiscard]] Result<std::vector<SnapshotInfo>> Snapshots();
  [[nodiscard]] Status DeleteSnapshot(const std::string& snapshot);

  // Files and what the session knows, as an OCI image layout in a tar.
  [[nodiscard]] Result<TransferReport> Export(const Sink& sink);
  // Into an empty regular file that is open for writing, not for appending: the sandbox's keeper
  // writes there itself. Who gets an error finds a part of it.
  [[nodiscard]] Result<TransferReport> ExportTo(int file);
  enum class ImportMode { kReplace, kMerge };
  [[nodiscard]] Result<TransferReport> Import(const Source& source,
                                              ImportMode mode = ImportMode::kReplace);
  // As Export, and then it has no processes and no memory until Rehydrate; nothing but that and
  // Destroy is answered meanwhile. Refused while a command runs. If `sink` fails it goes on as
  // before.
  [[nodiscard]] Result<TransferReport> Offload(const Sink& sink);
  // From what Offload gave. One that fails may be tried again.
  [[nodiscard]] Result<TransferReport> Rehydrate(const Source& source);
  // Into the namespace of its persistence. False: nothing was new.
  [[nodiscard]] Result<bool> Save();
  // Files and session become what was saved last. Nothing: nothing was saved.
  [[nodiscard]] Result<std::optional<TransferReport>> Load();
  // Nothing is saved any more; the sandbox stays as it is.
  [[nodiscard]] Status ClearSaved();

  [[nodiscard]] Result<Usage> GetUsage();
  // Ends everything in it. What could not be saved is an error.
  [[nodiscard]] Status Destroy();

 private:
  friend class Client;
  Sandbox(std::shared_ptr<client::Connection> connection, std::string id, bool ends_with_this)
      : connection_(std::move(connection)), id_(std::move(id)), ends_with_this_(ends_with_this) {}

  // With what the daemon does not do by itself.
  [[nodiscard]] Status Equip(const CreateOptions& options);

  std::shared_ptr<client::Connection> connection_;  // null: destroyed
  std::string id_;
  bool ends_with_this_ = false;
  bool loaded_ = false;
  std::vector<std::string> skipped_;
};

}  // namespace cordon

#endif  // CORDON_SANDBOX_H_
