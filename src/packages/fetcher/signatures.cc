#include "packages/fetcher/signatures.h"

#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "packages/fetcher/lock_in.h"
#include "packages/fetcher/minisign.h"
#include "packages/fetcher/say.h"
#include "packages/index.h"

namespace cordon::packages {
namespace {

constexpr int kMessage = 3;
constexpr int kOther = 4;

std::string ReadAll(int fd) {
  std::string bytes(kMostIndexBytes + 1, '\0');
  size_t done = 0;
  for (;;) {
    const ssize_t got =
        pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  if (done > kMostIndexBytes) EndWith(PackageCode::kIndex, "larger than an index may be");
  bytes.resize(done);
  return bytes;
}

}  // namespace

void Verify(const char* key) {
  for (const Status& step : {LimitResources(0), LockIn()}) {
    if (!step) EndWith(PackageCode::kFetch, step.error().ToString());
  }
  const std::string message = ReadAll(kMessage);
  const std::string signature = ReadAll(kOther);
  const Status holds = VerifyMinisign(key, signature, std::as_bytes(std::span(message)));
  if (!holds) EndWith(PackageCode::kIntegrity, holds.error().message);
  Say("good");
  _exit(0);
}

void SignFile(const char* comment) {
  const std::string message = ReadAll(kMessage);
  const std::string key = ReadAll(kOther);
  const Result<Signed> made = SignMinisign(key, std::as_bytes(std::span(message)), comment);
  if (!made) EndWith(PackageCode::kIntegrity, made.error().message);
  Say("key " + made->public_key);
  std::string_view rest = made->signature;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    Say("signature " + std::string(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
  _exit(0);
}

}  // namespace cordon::packages
