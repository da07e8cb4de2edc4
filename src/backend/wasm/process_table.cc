#include "backend/wasm/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/owned_fd.h"

namespace cordon::backend {

std::string ReadProc(const char* path) {
  const OwnedFd fd(open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t count = fd.valid() ? read(fd.get(), part, sizeof part) : 0;
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(part, static_cast<size_t>(count));
  }
}

namespace {

std::string ReadStatus(pid_t pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
  return ReadProc(path);
}

// The path of a file of /proc for a thread that is not the first one, or an empty one.
std::string OtherThread(pid_t pid, const char* file) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  DIR* threads = opendir(folder.c_str());
  std::string path;
  if (threads == nullptr) return path;
  while (const dirent* entry = readdir(threads)) {
    if (entry->d_name[0] == '.' || entry->d_name == std::to_string(pid)) continue;
    path = folder + "/" + entry->d_name + "/" + file;
    break;
  }
  (void)closedir(threads);
  return path;
}

// The text of a line `name:\ttext`.
std::string Field(const std::string& status, const char* name) {
  const size_t start = status.find(std::string("\n") + name + ":");
  if (start == std::string::npos) return {};
  const size_t text = start + strlen(name) + 2;
  return status.substr(text, status.find('\n', text) - text);
}

}  // namespace

std::vector<pid_t> ListChildren() {
  return ListChildrenOf(getpid());
}

std::vector<pid_t> ListChildrenOf(pid_t parent) {
  char path[64];
  // Children belong to the thread that made them or that the kernel chose: here, always the first.
  (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
  const std::string text = ReadProc(path);
  std::vector<pid_t> pids;
  const char* at = text.c_str();
  for (;;) {
    char* end = nullptr;
    const long pid = strtol(at, &end, 10);
    if (end == at || pid <= 0) return pids;
    pids.push_back(static_cast<pid_t>(pid));
    at = end;
  }
}

uint32_t ProcessIdInside(pid_t pid) {
  const std::string line = Field(ReadStatus(pid), "NSpid");
  const size_t last = line.find_last_of("\t ");
  if (last == std::string::npos) return 0;
  return static_cast<uint32_t>(strtoul(line.c_str() + last + 1, nullptr, 10));
}

uint64_t PrivateBytes(pid_t pid) {
  std::string text = Field(ReadStatus(pid), "RssAnon");
  // A first thread that has ended says nothing of the memory of those that are left.
  if (text.empty()) text = Field(ReadProc(OtherThread(pid, "status").c_str()), "RssAnon");
  return strtoull(text.c_str(), nullptr, 10) * 1024;
}

uint64_t ProportionalPrivateBytes(pid_t pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  std::string text = Field(ReadProc(path), "Pss_Anon");
  if (text.empty()) text = Field(ReadProc(OtherThread(pid, "smaps_rollup").c_str()), "Pss_Anon");
  return text.empty() ? PrivateBytes(pid) : strtoull(text.c_str(), nullptr, 10) * 1024;
}

std::chrono::nanoseconds ProcessorTime(pid_t pid) {
  clockid_t clock = 0;
  timespec now = {};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0) return {};
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::chrono::nanoseconds ReapedProcessorTime() {
  rusage usage = {};
  (void)getrusage(RUSAGE_CHILDREN, &usage);
  return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void KillOwnChildren() {
  for (;;) {
    // A clone made meanwhile is a child too, and seen in the next round.
    for (const pid_t pid : ListChildren()) (void)kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(-1, &status, WNOHANG) > 0) {
    }
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) return;
    // Whoever was hit is on its way out; let it.
    (void)usleep(200);
  }
}

}  // namespace cordon::backend
