// Runs a command of Windows in a job object: a program of its own, for Windows.
//
//   cordon-job.exe [--directory DIR] [--variables FILE] [--memory BYTES] [--processes N]
//                  [--cpu-time-ms N] [--wall-time-ms N] [--output BYTES] -- PROGRAM ARGUMENTS
//
// What it holds: memory, number and processor time of all processes of the job, wall time, bytes of
// each output stream, the variables, no privilege of its user but that of reading directories'
// names, no clipboard, desktop or global atoms, and that nothing outlives it. What it does not: the
// command is a process of its user and sees his files and network.
//
// Exit statuses are Cordon's: 124 for wall time, 137 for memory and processor time, 127 and 126 for
// a program that is not there or not executed, 125 for a failure of this program.

// Of Windows 8: nested jobs.
#define _WIN32_WINNT 0x0602
#include <windows.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kTimedOut = 124;
constexpr int kOwnFailure = 125;
constexpr int kNotRun = 126;
constexpr int kNotFound = 127;
constexpr int kKilled = 137;
constexpr DWORD kPipeBytes = 64 << 10;
constexpr int64_t kTicksPerMillisecond = 10'000;

struct Options {
  std::wstring directory;
  std::optional<std::wstring> variables;
  std::optional<uint64_t> memory_bytes;
  std::optional<uint64_t> processes;
  std::optional<uint64_t> cpu_time_ms;
  std::optional<uint64_t> wall_time_ms;
  std::optional<uint64_t> output_bytes;
  std::vector<std::wstring> command;
};

// Nothing runs after it.
[[noreturn]] void Fail(const char* call, int status = kOwnFailure) {
  const DWORD error = GetLastError();
  fprintf(stderr, "cordon-job: %s: error %lu\n", call, error);
  ExitProcess(static_cast<UINT>(status));
}
[[noreturn]] void Refuse(const char* why) {
  fprintf(stderr, "cordon-job: %s\n", why);
  ExitProcess(kOwnFailure);
}

// Closed when it goes.
class Handle {
 public:
  Handle() = default;
  explicit Handle(HANDLE handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  Handle& operator=(Handle&& other) noexcept {
    reset();
    handle_ = other.handle_;
    other.handle_ = nullptr;
    return *this;
  }
  ~Handle() { reset(); }
  [[nodiscard]] HANDLE get() const { return handle_; }
  [[nodiscard]] bool valid() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }
  HANDLE* out() { return &handle_; }
  void reset() {
    if (valid()) CloseHandle(handle_);
    handle_ = nullptr;
  }

 private:
  HANDLE handle_ = nullptr;
};

std::optional<uint64_t> Number(const wchar_t* text) {
  wchar_t* end = nullptr;
  const uint64_t number = wcstoull(text, &end, 10);
  if (end == text || *end != 0) return std::nullopt;
  return number;
}

Options ReadOptions(int count, wchar_t** words) {
  Options options;
  const struct {
    const wchar_t* name;
    std::optional<uint64_t>* value;
  } numbers[] = {{L"--memory", &options.memory_bytes},
                 {L"--processes", &options.processes},
                 {L"--cpu-time-ms", &options.cpu_time_ms},
                 {L"--wall-time-ms", &options.wall_time_ms},
                 {L"--output", &options.output_bytes}};
  int at = 1;
  for (; at < count && wcscmp(words[at], L"--") != 0; at += 2) {
    const std::wstring_view name = words[at];
    if (at + 1 >= count) Refuse("an option without its value");
    bool is_known = name == L"--directory" || name == L"--variables";
    if (name == L"--directory") options.directory = words[at + 1];
    if (name == L"--variables") options.variables = words[at + 1];
    for (const auto& number : numbers) {
      if (name != number.name) continue;
      is_known = true;
      *number.value = Number(words[at + 1]);
      if (!*number.value || **number.value == 0) Refuse("a limit is no number above 0");
    }
    if (!is_known) Refuse("an unknown option");
  }
  for (++at; at < count; ++at) options.command.emplace_back(words[at]);
  if (options.command.empty()) Refuse("no command after --");
  return options;
}

// As a program reads its command line back into words (CommandLineToArgvW).
std::wstring CommandLine(const std::vector<std::wstring>& words) {
  std::wstring line;
  for (const std::wstring& word : words) {
    if (!line.empty()) line += L' ';
    line += L'"';
    size_t slashes = 0;
    for (const wchar_t letter : word) {
      if (letter == L'"') line.append(slashes + 1, L'\\');
      slashes = letter == L'\\' ? slashes + 1 : 0;
      line += letter;
    }
    line.append(slashes, L'\\');
    line += L'"';
  }
  return line;
}

std::string ReadFile(const std::wstring& path) {
  const Handle file(CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING,
                                FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file.valid()) Fail("CreateFile(variables)");
  std::string text;
  char part[4096];
  DWORD size = 0;
  while (::ReadFile(file.get(), part, sizeof part, &size, nullptr) && size > 0) {
    text.append(part, size);
  }
  return text;
}

std::wstring Wide(std::string_view text) {
  if (text.empty()) return {};
  const int size = static_cast<int>(text.size());
  std::wstring wide(static_cast<size_t>(size), 0);
  const int count =
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, wide.data(), size);
  if (count == 0) Fail("MultiByteToWideChar");
  wide.resize(static_cast<size_t>(count));
  return wide;
}

// NAME=VALUE lines, and where the system is, without which no program of it starts.
std::wstring Environment(const Options& options) {
  std::wstring block;
  if (options.variables) {
    const std::string text = ReadFile(*options.variables);
    for (size_t begin = 0; begin < text.size();) {
      size_t end = text.find('\n', begin);
      if (end == std::string::npos) end = text.size();
      std::string_view line(text.data() + begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) block += Wide(line) + L'\0';
      begin = end + 1;
    }
  }
  for (const wchar_t* name : {L"SystemRoot", L"SystemDrive"}) {
    wchar_t value[MAX_PATH] = {};
    if (GetEnvironmentVariableW(name, value, MAX_PATH) == 0) continue;
    block += std::wstring(name) + L"=" + value + L'\0';
  }
  // Two at the end, of an empty block too.
  if (block.empty()) block += L'\0';
  block += L'\0';
  return block;
}

Handle MakeJob(const Options& options) {
  Handle job(CreateJobObjectW(nullptr, nullptr));
  if (!job.valid()) Fail("CreateJobObject");
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {};
  // Whoever ends this program, in whatever way, closes the job.
  DWORD flags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
  if (options.memory_bytes) {
    flags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
    limits.JobMemoryLimit = static_cast<SIZE_T>(*options.memory_bytes);
  }
  if (options.processes) {
    flags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
    limits.BasicLimitInformation.ActiveProcessLimit = static_cast<DWORD>(*options.processes);
  }
  if (options.cpu_time_ms) {
    flags |= JOB_OBJECT_LIMIT_JOB_TIME;
    limits.BasicLimitInformation.PerJobUserTimeLimit.QuadPart =
        static_cast<int64_t>(*options.cpu_time_ms) * kTicksPerMillisecond;
  }
  limits.BasicLimitInformation.LimitFlags = flags;
  if (!SetInformationJobObject(job.get(), JobObjectExtendedLimitInformation, &limits,
                               sizeof limits)) {
    Fail("SetInformationJobObject(JobObjectExtendedLimitInformation)");
  }
  JOBOBJECT_BASIC_UI_RESTRICTIONS screen = {};
  screen.UIRestrictionsClass = JOB_OBJECT_UILIMIT_DESKTOP | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS |
                               JOB_OBJECT_UILIMIT_EXITWINDOWS | JOB_OBJECT_UILIMIT_GLOBALATOMS |
                               JOB_OBJECT_UILIMIT_HANDLES | JOB_OBJECT_UILIMIT_READCLIPBOARD |
                               JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS |
                               JOB_OBJECT_UILIMIT_WRITECLIPBOARD;
  if (!SetInformationJobObject(job.get(), JobObjectBasicUIRestrictions, &screen, sizeof screen)) {
    Fail("SetInformationJobObject(JobObjectBasicUIRestrictions)");
  }
  return job;
}

// One output stream on its way to this program's own, counted.
struct Stream {
  Handle reader;
  Handle writer;
  HANDLE to = nullptr;
  uint64_t left = UINT64_MAX;
  bool is_over = false;
  Handle thread;
};

DWORD WINAPI Move(void* argument) {
  Stream& stream = *static_cast<Stream*>(argument);
  std::vector<char> part(kPipeBytes);
  DWORD size = 0;
  while (::ReadFile(stream.reader.get(), part.data(), kPipeBytes, &size, nullptr) && size > 0) {
    const auto count = static_cast<DWORD>(size < stream.left ? size : stream.left);
    DWORD written = 0;
    if (count > 0 && !WriteFile(stream.to, part.data(), count, &written, nullptr)) break;
    stream.left -= count;
    if (count == size) continue;
    // What is more has no reader: whoever writes it learns that.
    stream.is_over = true;
    break;
  }
  stream.reader.reset();
  return 0;
}

void OpenStream(Stream& stream, DWORD which, const std::optional<uint64_t>& limit) {
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, nullptr, TRUE};
  if (!CreatePipe(stream.reader.out(), stream.writer.out(), &inherited, kPipeBytes) ||
      !SetHandleInformation(stream.reader.get(), HANDLE_FLAG_INHERIT, 0)) {
    Fail("CreatePipe");
  }
  stream.to = GetStdHandle(which);
  stream.left = limit.value_or(UINT64_MAX);
}

// A token without the privileges that its user could turn on.
Handle WithoutPrivileges() {
  Handle own;
  Handle restricted;
  if (!OpenProcessToken(GetCurrentProcess(),
                        TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_QUERY | TOKEN_ADJUST_DEFAULT,
                        own.out())) {
    Fail("OpenProcessToken");
  }
  if (!CreateRestrictedToken(own.get(), DISABLE_MAX_PRIVILEGE, 0, nullptr, 0, nullptr, 0, nullptr,
                             restricted.out())) {
    Fail("CreateRestrictedToken(DISABLE_MAX_PRIVILEGE)");
  }
  return restricted;
}

// Suspended, with nothing inherited but its three streams.
PROCESS_INFORMATION StartSuspended(const Options& options, const Stream& out, const Stream& error) {
  Handle input(GetStdHandle(STD_INPUT_HANDLE));
  (void)SetHandleInformation(input.get(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  std::vector<HANDLE> handles = {out.writer.get(), error.writer.get()};
  if (input.valid()) handles.push_back(input.get());
  SIZE_T size = 0;
  (void)InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
  std::vector<char> space(size);
  auto* list = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(space.data());
  if (!InitializeProcThreadAttributeList(list, 1, 0, &size) ||
      !UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles.data(),
                                 handles.size() * sizeof(HANDLE), nullptr, nullptr)) {
    Fail("UpdateProcThreadAttribute(PROC_THREAD_ATTRIBUTE_HANDLE_LIST)");
  }
  STARTUPINFOEXW start = {};
  start.StartupInfo.cb = sizeof start;
  start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  start.StartupInfo.hStdInput = input.get();
  start.StartupInfo.hStdOutput = out.writer.get();
  start.StartupInfo.hStdError = error.writer.get();
  start.lpAttributeList = list;
  std::wstring line = CommandLine(options.command);
  std::wstring environment = Environment(options);
  const Handle token = WithoutPrivileges();
  PROCESS_INFORMATION made = {};
  const DWORD flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
  const BOOL is_made = CreateProcessAsUserW(
      token.get(), nullptr, line.data(), nullptr, nullptr, TRUE, flags, environment.data(),
      options.directory.empty() ? nullptr : options.directory.c_str(), &start.StartupInfo, &made);
  if (!is_made) {
    const DWORD why = GetLastError();
    const bool is_missing = why == ERROR_FILE_NOT_FOUND || why == ERROR_PATH_NOT_FOUND;
    Fail("CreateProcessAsUser", is_missing ? kNotFound : kNotRun);
  }
  DeleteProcThreadAttributeList(list);
  return made;
}

// What a limit of the job ended, if one did.
int LimitStatus(HANDLE port) {
  DWORD message = 0;
  ULONG_PTR key = 0;
  LPOVERLAPPED data = nullptr;
  while (GetQueuedCompletionStatus(port, &message, &key, &data, 0)) {
    if (message == JOB_OBJECT_MSG_END_OF_JOB_TIME) {
      fputs("cordon-job: limit CPU time\n", stderr);
      return kKilled;
    }
    if (message == JOB_OBJECT_MSG_JOB_MEMORY_LIMIT) {
      fputs("cordon-job: limit memory\n", stderr);
      return 0;  // an allocation failed; the command decides
    }
  }
  return 0;
}

Handle ListenTo(const Handle& job) {
  Handle port(CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1));
  if (!port.valid()) Fail("CreateIoCompletionPort");
  JOBOBJECT_ASSOCIATE_COMPLETION_PORT associate = {job.get(), port.get()};
  if (!SetInformationJobObject(job.get(), JobObjectAssociateCompletionPortInformation, &associate,
                               sizeof associate)) {
    Fail("SetInformationJobObject(JobObjectAssociateCompletionPortInformation)");
  }
  return port;
}

int Run(const Options& options) {
  const Handle job = MakeJob(options);
  const Handle port = ListenTo(job);
  Stream streams[2];
  OpenStream(streams[0], STD_OUTPUT_HANDLE, options.output_bytes);
  OpenStream(streams[1], STD_ERROR_HANDLE, options.output_bytes);
  const PROCESS_INFORMATION made = StartSuspended(options, streams[0], streams[1]);
  const Handle process(made.hProcess);
  const Handle thread(made.hThread);
  // Before its first instruction; otherwise it is ended.
  if (!AssignProcessToJobObject(job.get(), process.get())) {
    (void)TerminateProcess(process.get(), kOwnFailure);
    Fail("AssignProcessToJobObject");
  }
  for (Stream& stream : streams) {
    stream.writer.reset();
    stream.thread = Handle(CreateThread(nullptr, 0, Move, &stream, 0, nullptr));
    if (!stream.thread.valid()) Fail("CreateThread");
  }
  if (ResumeThread(thread.get()) == static_cast<DWORD>(-1)) Fail("ResumeThread");
  const DWORD time = options.wall_time_ms ? static_cast<DWORD>(*options.wall_time_ms) : INFINITE;
  const bool is_late = WaitForSingleObject(process.get(), time) == WAIT_TIMEOUT;
  DWORD status = kOwnFailure;
  if (!is_late && !GetExitCodeProcess(process.get(), &status)) Fail("GetExitCodeProcess");
  // What it left ends with it, and holds up nothing.
  (void)TerminateJobObject(job.get(), kKilled);
  for (const Stream& stream : streams) (void)WaitForSingleObject(stream.thread.get(), INFINITE);
  for (const Stream& stream : streams) {
    if (stream.is_over) {
      fputs("cordon-job: limit output\n", stderr);
      break;
    }
  }
  if (is_late) {
    fputs("cordon-job: limit wall time\n", stderr);
    return kTimedOut;
  }
  const int limit = LimitStatus(port.get());
  return limit != 0 ? limit : static_cast<int>(status);
}

}  // namespace

int wmain(int count, wchar_t** words) {
  return Run(ReadOptions(count, words));
}
