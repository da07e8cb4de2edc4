// cordon-fetch: one request over TLS, in a process that can reach nothing but the connection that it
// was given.
//
//   cordon-fetch resolve HOST           addresses, one a line
//   cordon-fetch get URL MAX CA-FILE    descriptor 3: a connection to the URL's host; 4: the body
//
// Standard output: "progress DONE TOTAL" and, last, "status N SIZE", "location TEXT" before it, or
// "error CODE TEXT".

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netdb.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

constexpr int kConnection = 3;
constexpr int kBody = 4;
constexpr long kSecondsWithoutAByte = 30;
constexpr long kMostSeconds = 600;
constexpr curl_off_t kProgressBytes = 256 * 1024;

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  if (write(STDOUT_FILENO, whole.data(), whole.size()) < 0) _exit(1);
}

[[noreturn]] void End(const char* code, std::string_view text) {
  std::string line(text.substr(0, 300));
  std::replace_if(line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  Say(std::string("error ") + code + " " + line);
  _exit(1);
}

// No new files, processes or connections; memory is never executable.
bool LockIn() {
  constexpr int kCalls[] = {
      SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
      SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close),
      SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
      SCMP_SYS(shutdown), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(fcntl), SCMP_SYS(brk),
      SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
      SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
      SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigaction),
      SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(alarm),
      SCMP_SYS(restart_syscall), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(sysinfo), SCMP_SYS(exit),
      SCMP_SYS(exit_group)};
  // What libraries try and do without.
  constexpr int kRefused[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat),
                              SCMP_SYS(newfstatat), SCMP_SYS(access), SCMP_SYS(faccessat),
                              SCMP_SYS(readlink), SCMP_SYS(uname), SCMP_SYS(getuid), SCMP_SYS(geteuid),
                              SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(socket), SCMP_SYS(clone3)};
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return false;
  bool is_good = true;
  for (const int call : kCalls) {
    is_good = is_good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
  }
  for (const int call : kRefused) {
    is_good = is_good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0;
  }
  constexpr scmp_datum_t kWritable = PROT_READ | PROT_WRITE;
  is_good = is_good &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)) == 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)) == 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, FIONBIO)) == 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                             SCMP_A0(SCMP_CMP_EQ, AF_UNIX)) == 0;
  is_good = is_good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return is_good;
}

struct Transfer {
  CURL* handle = nullptr;
  curl_off_t most = 0;
  curl_off_t done = 0;
  curl_off_t told = 0;
  bool is_too_large = false;
  std::string location;
};

size_t TakeBody(char* bytes, size_t /*one*/, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  curl_off_t announced = -1;
  (void)curl_easy_getinfo(transfer.handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  transfer.done += static_cast<curl_off_t>(size);
  // Counted, and not believed.
  if (announced > transfer.most || transfer.done > transfer.most) {
    transfer.is_too_large = true;
    transfer.done = std::max(transfer.done, announced);
    return 0;
  }
  for (size_t put = 0; put < size;) {
    const ssize_t count = write(kBody, bytes + put, size - put);
    if (count < 0) return 0;
    put += static_cast<size_t>(count);
  }
  if (transfer.done - transfer.told >= kProgressBytes) {
    transfer.told = transfer.done;
    Say("progress " + std::to_string(transfer.done) + " " + std::to_string(announced));
  }
  return size;
}

size_t TakeHeader(char* bytes, size_t /*one*/, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  std::string_view line(bytes, size);
  constexpr std::string_view kName = "location:";
  if (line.size() < kName.size() || strncasecmp(line.data(), kName.data(), kName.size()) != 0) {
    return size;
  }
  line.remove_prefix(kName.size());
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' ')) {
    line.remove_suffix(1);
  }
  transfer.location = line.substr(0, 4096);
  return size;
}

curl_socket_t UseConnection(void* /*self*/, curlsocktype /*purpose*/, curl_sockaddr* /*address*/) {
  return kConnection;
}
int IsConnected(void* /*self*/, curl_socket_t /*socket*/, curlsocktype /*purpose*/) {
  return CURL_SOCKOPT_ALREADY_CONNECTED;
}
int KeepConnection(void* /*self*/, curl_socket_t /*socket*/) {
  return 0;
}

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The name of the URL is never looked up: this entry answers for it.
curl_slist* KnownAddress(CURLU* url) {
  char* host = nullptr;
  char* port = nullptr;
  if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
      curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    End("E_PKG_FETCH", "invalid URL");
  }
  return curl_slist_append(nullptr, (std::string(host) + ":" + port + ":127.0.0.1").c_str());
}

int Get(const char* url_text, curl_off_t most, const char* ca_file) {
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  std::string authorities = ReadFile(ca_file);
  if (authorities.empty()) End("E_PKG_FETCH", "no certificates of authorities");
  CURL* handle = curl_easy_init();
  CURLU* url = curl_url();
  if (handle == nullptr || url == nullptr || curl_url_set(url, CURLUPART_URL, url_text, 0) != CURLUE_OK) {
    End("E_PKG_FETCH", "invalid URL");
  }
  Transfer transfer;
  transfer.handle = handle;
  transfer.most = most;
  curl_blob blob = {authorities.data(), authorities.size(), CURL_BLOB_NOCOPY};
  char reason[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(handle, CURLOPT_CURLU, url);
  curl_easy_setopt(handle, CURLOPT_RESOLVE, KnownAddress(url));
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &blob);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "cordon");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kSecondsWithoutAByte);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT, kMostSeconds);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, TakeBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, TakeHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, UseConnection);
  curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, IsConnected);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, KeepConnection);
  if (!LockIn()) End("E_PKG_FETCH", "the fetcher cannot be locked in");
  const CURLcode done = curl_easy_perform(handle);
  if (transfer.is_too_large) End("E_PKG_TOO_LARGE", std::to_string(transfer.done));
  if (done != CURLE_OK) End("E_PKG_FETCH", reason[0] != '\0' ? reason : curl_easy_strerror(done));
  long status = 0;
  (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (!transfer.location.empty()) Say("location " + transfer.location);
  Say("status " + std::to_string(status) + " " + std::to_string(transfer.done));
  // The connection and the libraries end with the process.
  _exit(0);
}

int Resolve(const char* host) {
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host, nullptr, &wanted, &found);
  if (error != 0) End("E_PKG_FETCH", gai_strerror(error));
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = {};
    const void* address = one->ai_family == AF_INET
                              ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr)
                              : &reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr;
    if (inet_ntop(one->ai_family, address, text, sizeof text) != nullptr) Say(std::string("address ") + text);
  }
  freeaddrinfo(found);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return 1;
  constexpr rlim_t kMemory = rlim_t{512} << 20;
  const rlimit memory = {kMemory, kMemory};
  const rlimit none = {0, 0};
  (void)setrlimit(RLIMIT_AS, &memory);
  (void)setrlimit(RLIMIT_CORE, &none);
  if (argc == 3 && std::string_view(argv[1]) == "resolve") return Resolve(argv[2]);
  if (argc == 5 && std::string_view(argv[1]) == "get") {
    curl_off_t most = 0;
    const std::string_view text = argv[3];
    if (std::from_chars(text.data(), text.data() + text.size(), most).ec == std::errc()) {
      return Get(argv[2], most, argv[4]);
    }
  }
  return 2;
}
