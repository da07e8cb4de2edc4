#include "pkg/fetch.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <vector>

#include "net/address.h"

namespace cordon::pkg {
namespace {

constexpr int kMostRedirects = 5;
constexpr int kConnectMs = 15'000;
constexpr size_t kMostLine = 8192;
constexpr size_t kMostAddresses = 16;

std::unexpected<PackageError> FetchError(const std::string& text) {
  return Refuse("E_PKG_FETCH", text);
}

// Lines of the fetcher, which reads hostile bytes: it is told from, and not obeyed.
class Report {
 public:
  explicit Report(const FetchProgress& progress) : progress_(progress) {}

  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n') {
        Take(line_);
        line_.clear();
      } else if (line_.size() < kMostLine) {
        line_ += c;
      }
    }
  }

  int status = 0;
  uint64_t size = 0;
  std::string location;
  std::string error_code;
  std::string error_text;
  std::vector<std::string> addresses;

 private:
  static bool TakeNumber(std::string_view* text, int64_t* number) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
    text->remove_prefix(static_cast<size_t>(end - text->data()));
    if (text->starts_with(' ')) text->remove_prefix(1);
    return error == std::errc();
  }

  void Take(std::string_view line) {
    const size_t blank = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, blank);
    std::string_view rest = line.substr(std::min(blank + 1, line.size()));
    int64_t first = 0;
    int64_t second = 0;
    if (word == "location") location = rest;
    if (word == "address" && addresses.size() < kMostAddresses) addresses.emplace_back(rest);
    if (word == "error") {
      const size_t end = std::min(rest.find(' '), rest.size());
      error_code = rest.substr(0, end) == "E_PKG_TOO_LARGE" ? "E_PKG_TOO_LARGE" : "E_PKG_FETCH";
      error_text = rest.substr(std::min(end + 1, rest.size()));
    }
    if (word != "progress" && word != "status") return;
    if (!TakeNumber(&rest, &first) || !TakeNumber(&rest, &second)) return;
    if (word == "progress") {
      if (progress_) progress_(first, second);
      return;
    }
    status = static_cast<int>(first);
    size = static_cast<uint64_t>(second);
  }

  const FetchProgress& progress_;
  std::string line_;
};

class Actions {
 public:
  Actions() { posix_spawn_file_actions_init(&actions_); }
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

Result<OwnedFd> MoveAbove(int fd) {
  constexpr int kFirstFree = 16;
  OwnedFd moved(fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  return moved;
}

// With an empty environment, and these descriptors from 3 on.
Status RunFetcher(const std::string& program, std::vector<std::string> words,
                  const std::vector<int>& descriptors, Report* report) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  Actions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  Result<OwnedFd> out = MoveAbove(writer.get());
  if (!out) return std::unexpected(out.error());
  posix_spawn_file_actions_adddup2(actions.get(), out->get(), STDOUT_FILENO);
  std::vector<OwnedFd> given;
  for (const int fd : descriptors) {
    Result<OwnedFd> moved = MoveAbove(fd);
    if (!moved) return std::unexpected(moved.error());
    posix_spawn_file_actions_adddup2(actions.get(), moved->get(), 3 + static_cast<int>(given.size()));
    given.push_back(std::move(*moved));
  }
  posix_spawn_file_actions_addclosefrom_np(actions.get(), 3 + static_cast<int>(given.size()));
  words.insert(words.begin(), "cordon-fetch");
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), actions.get(), nullptr, arguments.data(), environment);
  if (error != 0) return SystemError("posix_spawn(" + program + ")", error);
  writer.reset();
  out->reset();
  std::array<char, 4096> buffer = {};
  for (;;) {
    const ssize_t got = read(reader.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    report->Add({buffer.data(), static_cast<size_t>(got)});
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Fail(ErrorCode::kSystem, "the fetcher was ended by signal " + std::to_string(WTERMSIG(status)));
  return {};
}

PackageResult<std::vector<net::Address>> Resolve(const Fetcher& fetcher, const std::string& host) {
  std::vector<net::Address> addresses;
  if (const auto literal = net::ParseAddress(host)) return std::vector{*literal};
  const FetchProgress nobody;
  Report report(nobody);
  const Status ran = RunFetcher(fetcher.program, {"resolve", host}, {}, &report);
  if (!ran) return FetchError(ran.error().ToString());
  if (!report.error_code.empty()) return FetchError(host + ": " + report.error_text);
  for (const std::string& text : report.addresses) {
    if (const auto address = net::ParseAddress(text)) addresses.push_back(*address);
  }
  if (addresses.empty()) return FetchError(host + ": no address");
  return addresses;
}

// An address of a private network is meant only by whoever names the host itself.
PackageStatus CheckAddress(const Policy& policy, const std::string& host, const net::Address& address) {
  if (NamesHost(policy, host)) return {};
  const auto embedded = net::EmbeddedIpv4(address);
  const net::SpecialRange* special = net::FindSpecialRange(address);
  if (special == nullptr && embedded) special = net::FindSpecialRange(*embedded);
  if (special == nullptr) return {};
  return Refuse("E_PKG_HOST_DENIED",
                "Host '" + host + "' has the address " + address.ToString() + " (" +
                    (special->what == nullptr ? "special" : special->what) +
                    "), which only a policy that names it allows");
}

Result<OwnedFd> Connect(const net::Endpoint& to) {
  sockaddr_storage address = {};
  address.ss_family = to.address.is_ipv4() ? AF_INET : AF_INET6;
  const socklen_t size = net::FillSockaddr(to, &address);
  OwnedFd fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SystemError("socket()");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno != EINPROGRESS) return SystemError("connect(" + to.ToString() + ")");
    pollfd wait = {fd.get(), POLLOUT, 0};
    int ready = 0;
    while ((ready = poll(&wait, 1, kConnectMs)) < 0 && errno == EINTR) {
    }
    int error = ready == 0 ? ETIMEDOUT : 0;
    socklen_t length = sizeof error;
    if (ready > 0) (void)getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return SystemError("connect(" + to.ToString() + ")", error);
  }
  return fd;
}

PackageResult<OwnedFd> ConnectTo(const Fetcher& fetcher, const Policy& policy, const Url& url) {
  const PackageStatus allowed = CheckHost(policy, url);
  if (!allowed) return std::unexpected(allowed.error());
  const auto addresses = Resolve(fetcher, url.host);
  if (!addresses) return std::unexpected(addresses.error());
  PackageError last = {"E_PKG_FETCH", "no address answers"};
  for (const net::Address& address : *addresses) {
    const PackageStatus checked = CheckAddress(policy, url.host, address);
    if (!checked) return std::unexpected(checked.error());
    Result<OwnedFd> connected = Connect({address, url.port});
    if (connected) return std::move(*connected);
    last.message = connected.error().ToString();
  }
  return std::unexpected(last);
}

}  // namespace

PackageResult<Fetched> Fetch(const Fetcher& fetcher, const Policy& policy, Url url,
                             uint64_t most_bytes, const FetchProgress& progress) {
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    const PackageResult<OwnedFd> connection = ConnectTo(fetcher, policy, url);
    if (!connection) return std::unexpected(connection.error());
    Fetched fetched;
    fetched.file = OwnedFd(memfd_create("cordon-package", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fetched.file.valid()) return FetchError("memfd_create()");
    Report report(progress);
    const Status ran =
        RunFetcher(fetcher.program, {"get", url.ToString(), std::to_string(most_bytes), fetcher.ca_file},
                   {connection->get(), fetched.file.get()}, &report);
    if (!ran) return FetchError(ran.error().ToString());
    if (report.error_code == "E_PKG_TOO_LARGE") {
      return Refuse("E_PKG_TOO_LARGE", "Package size " + report.error_text + " exceeds limit of " +
                                           std::to_string(most_bytes) + " bytes");
    }
    if (!report.error_code.empty()) return FetchError(url.host + ": " + report.error_text);
    if (report.status >= 300 && report.status < 400 && !report.location.empty()) {
      const auto next = ParseLocation(url, report.location);
      if (!next) return std::unexpected(next.error());
      url = *next;
      continue;
    }
    if (report.status != 200) return FetchError("fetch failed with HTTP " + std::to_string(report.status));
    fetched.size = std::min(report.size, most_bytes);
    return fetched;
  }
  return FetchError("more than 5 redirects");
}

}  // namespace cordon::pkg
