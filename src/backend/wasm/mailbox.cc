#include "backend/wasm/mailbox.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>

#include "backend/wasm/streams.h"

namespace cordon::backend {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

}  // namespace

Result<int32_t> MailboxClient::Call(control::Request request, const Arguments& arguments,
                                    std::string_view payload, const std::string& what) {
  control::Mailbox& mailbox = control_.mailbox;
  if (payload.size() > control::kMailboxBytes)
    return Fail(ErrorCode::kLimit, what + ": more than 256 KiB of text");
  memcpy(mailbox.payload, payload.data(), payload.size());
  mailbox.payload_bytes.store(static_cast<uint32_t>(payload.size()));
  for (int i = 0; i < 6; ++i) mailbox.arg[i].store(arguments.values[i]);
  mailbox.request.store(static_cast<uint32_t>(request));
  mailbox.state.store(control::Mailbox::kRequested);
  RingService(control_);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const uint32_t bell = control_.keeper_bell.load();
    if (mailbox.state.load() == control::Mailbox::kAnswered) break;
    if (std::chrono::steady_clock::now() > deadline)
      return Fail(ErrorCode::kInternal, what + ": the sandbox does not answer");
    WaitShared(control_.keeper_bell, bell, 100'000'000);
  }
  const int32_t result = mailbox.result.load();
  mailbox.state.store(control::Mailbox::kIdle);
  if (result < 0) return SystemError(what, -result);
  return result;
}

Status MailboxClient::Spawn(uint32_t job, const std::string& directory,
                            const std::vector<std::string>& arguments,
                            const std::vector<std::string>& environment) {
  std::string payload = directory + '\0';
  for (const auto* strings : {&arguments, &environment}) {
    for (const std::string& text : *strings) payload += text + '\0';
  }
  const Arguments values = {
      {job, 0, static_cast<uint32_t>(arguments.size()), static_cast<uint32_t>(environment.size())}};
  CORDON_TRY(Call(control::Request::kSpawn, values, payload, "start of the command"));
  return {};
}

Status MailboxClient::Signal(uint32_t job, int number) {
  // The command may have ended in the meantime: no such process is no failure.
  (void)Call(control::Request::kSignalJob, {{job, static_cast<uint32_t>(number), 1}}, {}, "signal");
  return {};
}

Status MailboxClient::KillAll() {
  CORDON_TRY(Call(control::Request::kKillAll, {}, {}, "end of all processes"));
  return {};
}

Status MailboxClient::MakeDirectory(const std::string& path, uint32_t mode) {
  CORDON_TRY(
      Call(control::Request::kMakeDir, {{mode}}, path + '\0', "directory in the sandbox: " + path));
  return {};
}

Status MailboxClient::WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                                std::span<const char> bytes) {
  const Arguments values = {{mode, static_cast<uint32_t>(offset),
                             static_cast<uint32_t>(offset >> 32),
                             static_cast<uint32_t>(bytes.size())}};
  std::string payload = path + '\0';
  payload.append(bytes.data(), bytes.size());
  const std::string what = "file in the sandbox: " + path;
  const Result<int32_t> put = Call(control::Request::kWriteFile, values, payload, what);
  if (!put) return std::unexpected(put.error());
  if (static_cast<size_t>(*put) != bytes.size()) return SystemError(what, EDQUOT);
  return {};
}

Result<size_t> MailboxClient::ReadFile(const std::string& path, uint64_t offset,
                                       std::span<char> bytes, uint32_t* mode) {
  const Arguments values = {{0, static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32),
                             static_cast<uint32_t>(bytes.size())}};
  const Result<int32_t> got =
      Call(control::Request::kReadFile, values, path + '\0', "file in the sandbox: " + path);
  if (!got) return std::unexpected(got.error());
  const size_t count = std::min<size_t>(static_cast<size_t>(*got),
                                        std::min<size_t>(bytes.size(), control::kMailboxBytes));
  memcpy(bytes.data(), control_.mailbox.payload, count);
  *mode = control_.mailbox.arg[0].load() & 0777;
  return count;
}

Result<control::Usage> MailboxClient::ReadUsage() {
  const Result<int32_t> answer = Call(control::Request::kUsage, {}, {}, "usage");
  if (!answer) return std::unexpected(answer.error());
  control::Usage usage;
  memcpy(&usage, control_.mailbox.payload, sizeof usage);
  return usage;
}

}  // namespace cordon::backend
