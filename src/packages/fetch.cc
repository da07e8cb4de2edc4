#include "packages/fetch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/error.h"
#include "base/memory_file.h"
#include "base/owned_fd.h"

namespace cordon::packages {
namespace {

constexpr int kMostRedirects = 5;
constexpr int kConnectMs = 15'000;
constexpr std::chrono::seconds kResolveTime{30};
// With all redirects; a fetcher by itself gives up sooner where nothing comes.
constexpr std::chrono::seconds kFetchTime{600};

std::unexpected<PackageError> FetchError(const std::string& text) {
  return Refuse(PackageCode::kFetch, text);
}

PackageResult<std::vector<net::Address>> Resolve(const Fetcher& fetcher, const std::string& host) {
  if (const auto literal = net::ParseAddress(host)) return std::vector{*literal};
  const auto report = RunFetcher(fetcher, {{"resolve", host}, {}, kResolveTime, {}});
  if (!report) return FetchError(host + ": " + report.error().message);
  std::vector<net::Address> addresses;
  for (const std::string& text : report->addresses) {
    if (const auto address = net::ParseAddress(text)) addresses.push_back(*address);
  }
  if (addresses.empty()) return FetchError(host + ": no address");
  return addresses;
}

Result<OwnedFd> Connect(const net::Endpoint& to) {
  sockaddr_storage address = {};
  address.ss_family = to.address.is_ipv4() ? AF_INET : AF_INET6;
  const socklen_t size = net::FillSockaddr(to, &address);
  OwnedFd fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SystemError("socket(SOCK_STREAM)");
  const std::string call = "connect(" + to.ToString() + ")";
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  if (errno != EINPROGRESS) return SystemError(call);
  pollfd wait = {fd.get(), POLLOUT, 0};
  int ready = 0;
  while ((ready = poll(&wait, 1, kConnectMs)) < 0 && errno == EINTR) {
  }
  int error = ready == 0 ? ETIMEDOUT : 0;
  socklen_t length = sizeof error;
  if (ready > 0) (void)getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return SystemError(call, error);
  return fd;
}

// Where the connection leads in the end, whatever was asked for.
PackageStatus CheckPeer(const Policy& policy, const std::string& host, const OwnedFd& connection) {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  if (getpeername(connection.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    return FetchError(SystemError("getpeername").error().ToString());
  }
  return CheckAddress(policy, host, net::EndpointOf(peer).address);
}

PackageResult<OwnedFd> ConnectTo(const Fetcher& fetcher, const Policy& policy, const Url& url) {
  const PackageStatus allowed = CheckHost(policy, url);
  if (!allowed) return std::unexpected(allowed.error());
  const auto addresses = Resolve(fetcher, url.host);
  if (!addresses) return std::unexpected(addresses.error());
  // All of them before the first connection: a name that leads inside as well is none to trust.
  for (const net::Address& address : *addresses) {
    const PackageStatus checked = CheckAddress(policy, url.host, address);
    if (!checked) return std::unexpected(checked.error());
  }
  std::string reason;
  for (const net::Address& address : *addresses) {
    Result<OwnedFd> connected = Connect({address, url.port});
    if (!connected) {
      reason = connected.error().ToString();
      continue;
    }
    const PackageStatus peer = CheckPeer(policy, url.host, *connected);
    if (!peer) return std::unexpected(peer.error());
    return std::move(*connected);
  }
  return FetchError(url.host + ": " + reason);
}

PackageResult<std::vector<std::byte>> BytesOf(const OwnedFd& body, uint64_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        pread(body.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return FetchError("what came was cut");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

std::chrono::seconds TimeUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::seconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::seconds(1));
}

}  // namespace

PackageResult<std::vector<std::byte>> Fetch(const Fetcher& fetcher, const Policy& policy, Url url,
                                            uint64_t most_bytes, const FetchProgress& progress) {
  const auto deadline = std::chrono::steady_clock::now() + kFetchTime;
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    const PackageResult<OwnedFd> connection = ConnectTo(fetcher, policy, url);
    if (!connection) return std::unexpected(connection.error());
    const Result<OwnedFd> body = NewMemoryFile("cordon-package");
    if (!body) return FetchError(body.error().ToString());
    const auto report =
        RunFetcher(fetcher, {{"get", url.ToString(), std::to_string(most_bytes), fetcher.ca_file},
                             {connection->get(), body->get()},
                             TimeUntil(deadline),
                             progress});
    if (!report && report.error().code == PackageCode::kTooLarge) {
      return Refuse(PackageCode::kTooLarge, "Package size " + report.error().message +
                                                " exceeds limit of " + std::to_string(most_bytes) +
                                                " bytes");
    }
    if (!report) return FetchError(url.host + ": " + report.error().message);
    const bool is_redirect = report->status >= 300 && report->status < 400;
    if (is_redirect && !report->location.empty()) {
      const auto next = ParseLocation(url, report->location);
      if (!next) return std::unexpected(next.error());
      url = *next;
      continue;
    }
    if (report->status != 200) {
      return FetchError("fetch failed with HTTP " + std::to_string(report->status));
    }
    if (report->size > most_bytes) return FetchError("more came than was asked for");
    return BytesOf(*body, report->size);
  }
  return FetchError("more than " + std::to_string(kMostRedirects) + " redirects");
}

}  // namespace cordon::packages
