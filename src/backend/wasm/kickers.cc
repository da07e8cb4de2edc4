#include "backend/wasm/kickers.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "arena/platform.h"
#include "backend/wasm/filter.h"
#include "backend/wasm/memory_files.h"
#include "backend/wasm/template_start.h"
#include "base/fd_message.h"

namespace cordon::backend {
namespace {

// Without a descriptor: the page is to be forgotten.
struct KickerRequest {
  uint64_t id;
};

struct Served {
  SharedMapping mapping;
  std::atomic<bool> ended = false;
  [[nodiscard]] control::Control& page() const {
    return *reinterpret_cast<control::Control*>(mapping.bytes().data());
  }
};

std::shared_ptr<Served> Serve(const OwnedFd& page) {
  constexpr uint64_t kPageBytes = 4096;
  constexpr uint64_t kBytes = (sizeof(control::Control) + kPageBytes - 1) / kPageBytes * kPageBytes;
  Result<SharedMapping> mapping = SharedMapping::Map(page.get(), kBytes);
  if (!mapping) return nullptr;
  auto served = std::make_shared<Served>();
  served->mapping = std::move(*mapping);
  try {
    std::thread([served] {
      while (!served->ended.load()) {
        const uint32_t bell = served->page().kicker_bell.load();
        SendKicksOnce(served->page(), KickScope::kNamespace);
        if (served->ended.load()) break;
        platform::WaitOnWord(&served->page().kicker_bell, bell, platform::kNever);
      }
    }).detach();
  } catch (const std::system_error&) {
    return nullptr;
  }
  return served;
}

void End(const Served& served) {
  served.page().kicker_bell.fetch_add(1);
  platform::WakeWord(&served.page().kicker_bell, INT_MAX);
}

[[noreturn]] void ServeAll(int socket) {
  // A page may ask for a kick of whoever is in the namespace, also of this process.
  if (signal(control::kKickSignal, SIG_IGN) == SIG_ERR ||
      (socket > 0 && syscall(SYS_close_range, 0, socket - 1, 0) != 0) ||
      syscall(SYS_close_range, socket + 1, ~0U, 0) != 0 || !DropAllCapabilities() ||
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      !LoadFilter(KickerRules())) {
    _Exit(125);
  }
  std::map<uint64_t, std::shared_ptr<Served>> all;
  for (;;) {
    KickerRequest request = {};
    Result<FdMessage> got = ReceiveWithFds(socket, WritableBytesOf(request), 0);
    // The family process is gone.
    if (!got || got->size != sizeof request) _Exit(0);
    if (got->fds.empty()) {
      if (const auto found = all.find(request.id); found != all.end()) {
        found->second->ended.store(true);
        End(*found->second);
        all.erase(found);
      }
    } else if (std::shared_ptr<Served> served = Serve(got->fds.front()); served != nullptr) {
      all[request.id] = std::move(served);
    } else {
      (void)send(socket, &request, sizeof request, MSG_NOSIGNAL);
    }
  }
}

}  // namespace

Status Kickers::Add(const Family& family, const OwnedFd& page, uint64_t id) {
  if (pid_ == 0) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      return SystemError("socketpair");
    }
    socket_.reset(ends[0]);
    const OwnedFd other(ends[1]);
    const Result<pid_t> pid = family.StartInside([&other] { ServeAll(other.get()); });
    if (!pid) return std::unexpected(pid.error());
    pid_ = *pid;
  }
  const int given[] = {page.get()};
  return SendWithFds(socket_.get(), BytesOf(KickerRequest{id}), given);
}

void Kickers::Remove(uint64_t id) {
  if (pid_ != 0) (void)SendWithFds(socket_.get(), BytesOf(KickerRequest{id}), {});
}

std::optional<uint64_t> Kickers::NextFailed() const {
  KickerRequest failed = {};
  if (recv(socket_.get(), &failed, sizeof failed, MSG_DONTWAIT) != sizeof failed) {
    return std::nullopt;
  }
  return failed.id;
}

}  // namespace cordon::backend
