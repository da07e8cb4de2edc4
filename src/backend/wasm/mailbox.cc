#include "backend/wasm/mailbox.h"

#include <algorithm>
#include <cstring>

namespace cordon::backend {
namespace {

// No tree that fits a sandbox has directories with more pages of entries.
constexpr uint32_t kMaxListings = 100'000;

template <typename T>
bool Take(std::span<const std::byte>& bytes, T* value) {
  if (bytes.size() < sizeof(T)) return false;
  memcpy(value, bytes.data(), sizeof(T));
  bytes = bytes.subspan(sizeof(T));
  return true;
}

bool TakeString(std::span<const std::byte>& bytes, std::string* text) {
  const auto end = std::ranges::find(bytes, std::byte{0});
  if (end == bytes.end()) return false;
  const auto size = static_cast<size_t>(end - bytes.begin());
  text->assign(reinterpret_cast<const char*>(bytes.data()), size);
  bytes = bytes.subspan(size + 1);
  return true;
}

Status Damaged(const std::string& what) {
  return Fail(ErrorCode::kCorrupt, what + ": the sandbox gave no sensible answer");
}

}  // namespace

Result<ServiceAnswer> Mailbox::Call(control::Request request, const Arguments& arguments,
                                    const std::string& payload, const std::string& what) {
  if (payload.size() > control::kMailboxBytes) {
    return Fail(ErrorCode::kLimit, what + ": more than 256 KiB of text");
  }
  Result<ServiceAnswer> answer =
      keeper_.Call({request, arguments, std::as_bytes(std::span(payload))});
  if (answer && answer->result < 0) return SystemError(what, -answer->result);
  return answer;
}

Status Mailbox::Spawn(const JobStart& start) {
  std::string payload = start.directory + '\0';
  for (const auto* strings : {&start.arguments, &start.environment}) {
    for (const std::string& text : *strings) payload += text + '\0';
  }
  const bool anywhere = start.otherwise == JobStart::Otherwise::kRoot;
  const uint32_t flags = (start.has_terminal ? uint32_t{control::kSpawnTerminal} : 0) |
                         (anywhere ? uint32_t{control::kSpawnAnywhere} : 0);
  const Arguments arguments = {start.job,
                               flags,
                               static_cast<uint32_t>(start.arguments.size()),
                               static_cast<uint32_t>(start.environment.size()),
                               start.rows << 16 | start.columns,
                               start.run};
  CORDON_TRY(Call(control::Request::kSpawn, arguments, payload, "start of the command"));
  return {};
}

Status Mailbox::Signal(uint32_t job, int number) {
  const Result<ServiceAnswer> answer =
      keeper_.Call({control::Request::kSignalJob,
                    {job, static_cast<uint32_t>(number),
                     static_cast<uint32_t>(control::SignalTarget::kForegroundGroup)},
                    {}});
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Status Mailbox::Resize(uint32_t job, uint32_t rows, uint32_t columns) {
  CORDON_TRY(Call(control::Request::kResize, {job, rows << 16 | columns}, {}, "window size"));
  return {};
}

Status Mailbox::KillAll() {
  CORDON_TRY(Call(control::Request::kKillAll, {}, {}, "end of all processes"));
  return {};
}

Status Mailbox::BeginRun(uint32_t session_job, uint32_t job, uint32_t run, bool has_no_input,
                         const std::string& script) {
  CORDON_TRY(Call(control::Request::kBeginRun, {session_job, job, run, has_no_input ? 1U : 0U},
                  script, "run in a session"));
  return {};
}

Status Mailbox::Feed(uint32_t job, const std::string& bytes) {
  CORDON_TRY(Call(control::Request::kFeed, {job}, bytes, "input of a shell"));
  return {};
}

Result<uint32_t> Mailbox::SignalRun(uint32_t run, int number, Shell shell) {
  const Result<ServiceAnswer> answer =
      Call(control::Request::kSignalRun,
           {run, static_cast<uint32_t>(number), static_cast<uint32_t>(shell)}, {}, "signal");
  if (!answer) return std::unexpected(answer.error());
  return static_cast<uint32_t>(answer->result);
}

Status Mailbox::AllowTools(const std::vector<std::string>& names) {
  std::string payload;
  for (const std::string& name : names) payload += name + '\0';
  CORDON_TRY(Call(control::Request::kAllowTools, {static_cast<uint32_t>(names.size())}, payload,
                  "list of allowed tools"));
  return {};
}

Status Mailbox::CheckKernel() {
  const Result<ServiceAnswer> answer =
      Call(control::Request::kCheck, {}, {}, "check of the kernel");
  if (!answer) return std::unexpected(answer.error());
  if (answer->result == 0) return {};
  return Fail(ErrorCode::kCorrupt,
              "invariants of the kernel are violated:\n" +
                  std::string(reinterpret_cast<const char*>(answer->payload.data()),
                              answer->payload.size()));
}

Status Mailbox::MakeDirectory(const std::string& path, uint32_t mode) {
  CORDON_TRY(
      Call(control::Request::kMakeDir, {mode}, path + '\0', "directory in the sandbox: " + path));
  return {};
}

Status Mailbox::WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                          std::span<const char> bytes) {
  const Arguments arguments = {mode, static_cast<uint32_t>(offset),
                               static_cast<uint32_t>(offset >> 32),
                               static_cast<uint32_t>(bytes.size())};
  std::string payload = path + '\0';
  payload.append(bytes.data(), bytes.size());
  const std::string what = "file in the sandbox: " + path;
  const Result<ServiceAnswer> put = Call(control::Request::kWriteFile, arguments, payload, what);
  if (!put) return std::unexpected(put.error());
  if (static_cast<size_t>(put->result) != bytes.size()) return SystemError(what, EDQUOT);
  return {};
}

Status Mailbox::MakeSymlink(const std::string& target, const std::string& path) {
  CORDON_TRY(Call(control::Request::kSymlink, {}, target + '\0' + path + '\0',
                  "link in the sandbox: " + path));
  return {};
}

Result<std::vector<std::byte>> Mailbox::ReadFile(const std::string& path, uint64_t offset,
                                                 uint64_t most) {
  const Arguments arguments = {0, static_cast<uint32_t>(offset),
                               static_cast<uint32_t>(offset >> 32),
                               static_cast<uint32_t>(std::min<uint64_t>(most, kMaxTransfer))};
  Result<ServiceAnswer> got =
      Call(control::Request::kReadFile, arguments, path + '\0', "file in the sandbox: " + path);
  if (!got) return std::unexpected(got.error());
  got->payload.resize(std::min(static_cast<size_t>(got->result), got->payload.size()));
  return std::move(got->payload);
}

Result<GuestStat> Mailbox::ReadStat(const std::string& path) {
  const Result<ServiceAnswer> got =
      Call(control::Request::kStat, {}, path + '\0', "file in the sandbox: " + path);
  if (!got) return std::unexpected(got.error());
  std::span<const std::byte> bytes = got->payload;
  GuestStat stat;
  if (!Take(bytes, &stat.mode) || !Take(bytes, &stat.size) || !Take(bytes, &stat.mtime_ns)) {
    return std::unexpected(Damaged(path).error());
  }
  (void)TakeString(bytes, &stat.link_target);
  return stat;
}

Result<std::vector<GuestEntry>> Mailbox::ListDirectory(const std::string& path) {
  std::vector<GuestEntry> entries;
  uint64_t cookie = 0;
  for (uint32_t round = 0; round < kMaxListings; ++round) {
    const Arguments arguments = {0, static_cast<uint32_t>(cookie),
                                 static_cast<uint32_t>(cookie >> 32)};
    const Result<ServiceAnswer> got = Call(control::Request::kListDir, arguments, path + '\0',
                                           "directory in the sandbox: " + path);
    if (!got) return std::unexpected(got.error());
    if (got->result == 0) return entries;
    std::span<const std::byte> bytes = got->payload;
    for (int32_t i = 0; i < got->result; ++i) {
      GuestEntry entry;
      if (!Take(bytes, &cookie) || !Take(bytes, &entry.mode) || !Take(bytes, &entry.size) ||
          !TakeString(bytes, &entry.name)) {
        return std::unexpected(Damaged(path).error());
      }
      entries.push_back(std::move(entry));
    }
  }
  return std::unexpected(Damaged(path).error());
}

Status Mailbox::Remove(const std::string& path) {
  CORDON_TRY(Call(control::Request::kRemove, {}, path + '\0', "removal in the sandbox: " + path));
  return {};
}

Status Mailbox::Rename(const std::string& from, const std::string& to) {
  CORDON_TRY(
      Call(control::Request::kRename, {}, from + '\0' + to + '\0', "file in the sandbox: " + from));
  return {};
}

Status Mailbox::Mount(const std::string& path, uint32_t index, uint32_t flags) {
  CORDON_TRY(Call(control::Request::kMount, {index, flags}, path + '\0', "mount: " + path));
  return {};
}

Status Mailbox::Show(const std::string& path, const std::string& shown) {
  CORDON_TRY(Call(control::Request::kMount, {control::kReadOnlyMount, control::kMountReadOnly},
                  path + '\0' + shown + '\0', "mount: " + path));
  return {};
}

Status Mailbox::Unmount(const std::string& path) {
  CORDON_TRY(Call(control::Request::kUnmount, {}, path + '\0', "mount: " + path));
  return {};
}

Status Mailbox::ChangeMode(const std::string& path, uint32_t mode) {
  CORDON_TRY(
      Call(control::Request::kChangeMode, {mode}, path + '\0', "file in the sandbox: " + path));
  return {};
}

Result<ServiceAnswer> Mailbox::ListPage(const std::string& path, uint64_t cookie) {
  return Call(control::Request::kListStat,
              {0, static_cast<uint32_t>(cookie), static_cast<uint32_t>(cookie >> 32)}, path + '\0',
              "directory in the sandbox: " + path);
}

Result<control::RunUsage> Mailbox::MeasureRun(uint32_t run) {
  const Result<ServiceAnswer> answer =
      Call(control::Request::kRunUsage, {run}, {}, "usage of a run");
  if (!answer) return std::unexpected(answer.error());
  std::span<const std::byte> bytes = answer->payload;
  control::RunUsage usage = {};
  if (!Take(bytes, &usage)) return std::unexpected(Damaged("usage of a run").error());
  return usage;
}

Result<control::Usage> Mailbox::ReadUsage() {
  const Result<ServiceAnswer> answer = Call(control::Request::kUsage, {}, {}, "usage");
  if (!answer) return std::unexpected(answer.error());
  std::span<const std::byte> bytes = answer->payload;
  control::Usage usage = {};
  if (!Take(bytes, &usage)) return std::unexpected(Damaged("usage").error());
  return usage;
}

}  // namespace cordon::backend
