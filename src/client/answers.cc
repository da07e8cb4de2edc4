#include "client/answers.h"

#include <cstring>

namespace cordon::client {
namespace {

// "ENOENT" as a number; 0 if it is none.
int ErrnoOf(const std::string& name) {
  constexpr int kMost = 134;
  for (int number = 1; number < kMost; ++number) {
    const char* known = strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  return 0;
}

}  // namespace

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_binary()) return {found->get_binary().begin(), found->get_binary().end()};
  return found->is_string() ? found->get<std::string>() : std::string();
}

Json BytesOf(std::string_view bytes) {
  return Json::binary({bytes.begin(), bytes.end()});
}

CommandUsage UsageOf(const Json& json) {
  const auto number = [&](const char* name) { return json.value(name, uint64_t{0}); };
  return {.cpu_ms = json.value("cpuMs", 0.0),
          .memory_peak_bytes = number("memoryPeakBytes"),
          .processes = number("processes"),
          .stdout_bytes = number("stdoutBytes"),
          .stderr_bytes = number("stderrBytes"),
          .file_read_bytes = number("fileReadBytes"),
          .file_written_bytes = number("fileWrittenBytes")};
}

Error RefusalOf(const Json& error) {
  Error refusal = {ErrorCode::kInvalid, error.value("message", "refused"), {}, 0};
  const Json data = error.value("data", Json::object());
  if (!data.is_object()) return refusal;
  const std::string named = data.value("errno", "");
  if (named.starts_with("E_PKG_")) refusal.place = named;
  if (named == "LIMIT_EXCEEDED") refusal.code = ErrorCode::kLimit;
  refusal.system_errno = ErrnoOf(named);
  if (refusal.system_errno == 0) return refusal;
  refusal.code = ErrorCode::kSystem;
  // What the number says is said by whoever shows the error.
  const std::string_view text = refusal.message;
  const std::string name = std::string(strerrorname_np(refusal.system_errno)) + ": ";
  const std::string meaning = std::string(": ") + strerror(refusal.system_errno);
  const size_t begin = text.starts_with(name) ? name.size() : 0;
  const size_t end = text.ends_with(meaning) ? text.size() - meaning.size() : text.size();
  if (begin < end) refusal.message = std::string(text.substr(begin, end - begin));
  return refusal;
}

CommandResult ResultOf(const Json& json) {
  const Json truncated = json.value("truncated", Json::object());
  CommandResult result = {
      .exit_code = json.value("exitCode", -1),
      .out = TextOf(json, "stdout"),
      .err = TextOf(json, "stderr"),
      .execution_time_ms = json.value("executionTimeMs", 0.0),
      .out_truncated = truncated.value("stdout", false),
      .err_truncated = truncated.value("stderr", false),
      .signal = json.value("signal", 0),
      .error_class = json.value("errorClass", ""),
      .usage = UsageOf(json.value("usage", Json::object())),
  };
  return result;
}

TransferReport ReportOf(const Json& json) {
  TransferReport report = {
      .entries = json.value("entries", uint64_t{0}),
      .digest = json.value("digest", ""),
      .skipped = {},
      .skipped_count = json.value("skippedCount", uint64_t{0}),
  };
  for (const Json& one : json.value("skipped", Json::array())) {
    report.skipped.push_back(one.is_string() ? one.get<std::string>() : one.dump());
  }
  return report;
}

std::string SnapshotOf(const Json& object) {
  const Json id = object.value("snapshotId", Json());
  return id.is_number() ? id.dump() : TextOf(object, "snapshotId");
}

}  // namespace cordon::client
