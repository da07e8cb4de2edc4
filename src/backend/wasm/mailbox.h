#ifndef CORDON_BACKEND_WASM_MAILBOX_H_
#define CORDON_BACKEND_WASM_MAILBOX_H_

// Requests to the service process behind the wall, as functions. Answers are read as hostile.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/wasm/keeper.h"
#include "base/error.h"
#include "kernel/control.h"

namespace cordon::backend {

struct JobStart {
  uint32_t job = 0;
  std::string directory;
  // Where it starts if that directory cannot be entered.
  enum class Otherwise { kNowhere, kRoot } otherwise = Otherwise::kNowhere;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  bool has_terminal = false;
  uint32_t rows = 0;
  uint32_t columns = 0;
  uint32_t run = 0;  // that the command and all that it starts bear; 0: the sandbox has one command
};

struct GuestStat {
  uint32_t mode = 0;
  uint64_t size = 0;
  uint64_t mtime_ns = 0;
  std::string link_target;
};

struct GuestEntry {
  std::string name;
  uint32_t mode = 0;
  uint64_t size = 0;
};

class Mailbox {
 public:
  explicit Mailbox(Keeper& keeper) : keeper_(keeper) {}

  [[nodiscard]] Status Spawn(const JobStart& start);
  // To the whole foreground group. A command that ended in the meantime is no failure.
  [[nodiscard]] Status Signal(uint32_t job, int number);
  [[nodiscard]] Status Resize(uint32_t job, uint32_t rows, uint32_t columns);
  [[nodiscard]] Status KillAll();
  // The shell of a session gets the streams of `job` and is told to read the script from there.
  [[nodiscard]] Status BeginRun(uint32_t session_job, uint32_t job, uint32_t run, bool has_no_input,
                                const std::string& script);
  [[nodiscard]] Status Feed(uint32_t job, const std::string& bytes);
  // kSparedAndForced: what the others made of the signal is undone, so that they end by it.
  enum class Shell : uint32_t { kToo = 0, kSpared = 1, kSparedAndForced = 3, kAlone = 4 };
  // To everything that bears the number, as a session's shell does of what it ran last. The result
  // is how many that were.
  [[nodiscard]] Result<uint32_t> SignalRun(uint32_t run, int number, Shell shell);
  // What a run used until now.
  [[nodiscard]] Result<control::RunUsage> MeasureRun(uint32_t run);
  // From now on these and the shells are all that starts; before anything did.
  [[nodiscard]] Status AllowTools(const std::vector<std::string>& names);
  // The kernel verifies its own data; an error names what is wrong.
  [[nodiscard]] Status CheckKernel();
  [[nodiscard]] Result<control::Usage> ReadUsage();

  // Parents are made too; a directory that exists is no failure.
  [[nodiscard]] Status MakeDirectory(const std::string& path, uint32_t mode);
  [[nodiscard]] Status WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                                 std::span<const char> bytes);
  [[nodiscard]] Status MakeSymlink(const std::string& target, const std::string& path);
  // At most kMaxTransfer bytes; none at the end.
  [[nodiscard]] Result<std::vector<std::byte>> ReadFile(const std::string& path, uint64_t offset,
                                                        uint64_t most = kMaxTransfer);
  // Of the path itself, no link is followed.
  [[nodiscard]] Result<GuestStat> ReadStat(const std::string& path);
  [[nodiscard]] Result<std::vector<GuestEntry>> ListDirectory(const std::string& path);
  [[nodiscard]] Status Remove(const std::string& path);
  [[nodiscard]] Status Rename(const std::string& from, const std::string& to);
  [[nodiscard]] Status ChangeMode(const std::string& path, uint32_t mode);
  // A mount of the file server, at a directory, with control::MountFlags; what another directory
  // has, unchangeable.
  [[nodiscard]] Status Mount(const std::string& path, uint32_t index, uint32_t flags);
  [[nodiscard]] Status Show(const std::string& path, const std::string& shown);
  [[nodiscard]] Status Unmount(const std::string& path);
  // Entries as control::kListStat has them, a page of at most 48 after `cookie`, unparsed.
  [[nodiscard]] Result<ServiceAnswer> ListPage(const std::string& path, uint64_t cookie);
  static constexpr uint64_t kAppend = UINT64_MAX;  // an offset of WriteFile

  static constexpr size_t kMaxTransfer = 128 * 1024;

 private:
  using Arguments = std::array<uint32_t, 6>;
  // `what` is what the user reads if the guest's kernel says no.
  Result<ServiceAnswer> Call(control::Request request, const Arguments& arguments,
                             const std::string& payload, const std::string& what);

  Keeper& keeper_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_MAILBOX_H_
