#include <arpa/inet.h>
#include <netdb.h>
#include <unistd.h>

#include "packages/fetcher/get.h"
#include "packages/fetcher/lock_in.h"
#include "packages/fetcher/say.h"

namespace cordon::packages {

void Resolve(const char* host) {
  for (const Status& step : {LimitResources(0), LockInToReading()}) {
    if (!step) EndWith(PackageCode::kFetch, step.error().ToString());
  }
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host, nullptr, &wanted, &found);
  if (error != 0) EndWith(PackageCode::kFetch, gai_strerror(error));
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = {};
    const void* address = nullptr;
    if (one->ai_family == AF_INET) {
      address = &reinterpret_cast<const sockaddr_in*>(one->ai_addr)->sin_addr;
    } else if (one->ai_family == AF_INET6) {
      address = &reinterpret_cast<const sockaddr_in6*>(one->ai_addr)->sin6_addr;
    }
    if (address != nullptr && inet_ntop(one->ai_family, address, text, sizeof text) != nullptr) {
      Say(std::string("address ") + text);
    }
  }
  _exit(0);
}

}  // namespace cordon::packages
