#include "backend/wasm/family_process.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <list>
#include <optional>
#include <set>
#include <span>
#include <thread>

#include "arena/platform.h"
#include "backend/wasm/detached.h"
#include "backend/wasm/kickers.h"
#include "backend/wasm/process_table.h"
#include "base/fd_message.h"

namespace cordon::backend {
namespace {

using std::chrono::steady_clock;

// A group that is not empty so long after its end: the whole family ends.
constexpr std::chrono::seconds kEndPatience{10};
constexpr int kDyingPeriodMs = 20;
constexpr int kMostAnswers = 64;
constexpr int kMostEvents = 16;

struct Member {
  pid_t group = 0;     // 0: none is left
  pid_t service = 0;   // where it is known
  uint64_t kicks = 0;  // the number of its page for who sends its kicks; 0: somebody else does
  OwnedFd keeper;
  std::shared_ptr<SharedMapping> page;
  std::vector<ino_t> live;  // memory that only its own processes may have mapped
  bool is_dying = false;
  steady_clock::time_point dying_since;
  // What its processes may ask for.
  ForkGift gift;
  uint32_t gift_number = 0;
  pid_t copies_group = 0;
  std::set<pid_t> complete;
  std::shared_ptr<SharedMapping> copies_page;
};

ino_t InodeOf(const OwnedFd& fd) {
  struct stat stat = {};
  return fd.valid() && fstat(fd.get(), &stat) == 0 ? stat.st_ino : 0;
}

class FamilyProcess {
 public:
  FamilyProcess(const FamilyLink::Options& options, OwnedFd keeper) : options_(options) {
    Member& first = members_.emplace_back();
    first.keeper = std::move(keeper);
    first.page = options.files.control_mapping;
    first.live = {InodeOf(options.files.control), InodeOf(options.files.objects),
                  InodeOf(options.files.blocks)};
    code_window_ = InodeOf(options.files.code_window);
  }

  [[noreturn]] void Run() {
    Member& first = members_.front();
    const Status started = Start();
    FamilyEvent event;
    event.kind = started ? FamilyEvent::kStarted : FamilyEvent::kFailed;
    event.group = first.group;
    event.isolation = family_.isolation();
    if (!started) SetText(&event, started.error().ToString());
    if (!Send(first, event) || !started) EndFamily();
    Serve();
  }

 private:
  static void SetText(FamilyEvent* event, const std::string& text) {
    text.copy(event->text, sizeof event->text - 1);
  }

  Status Start() {
    // Whoever is in another session or group could not be given a group by us.
    if (setsid() < 0) return SystemError("setsid");
    Result<Family> family = Family::Start(options_.files, options_.uid, options_.namespaces);
    if (!family) return std::unexpected(family.error());
    family_ = std::move(*family);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      return SystemError("socketpair");
    }
    listener_socket_.reset(ends[0]);
    const OwnedFd other(ends[1]);
    const Result<pid_t> service = family_.StartTemplate(options_.files, options_.template_fd,
                                                        options_.userland_fd, other.get());
    if (!service) return std::unexpected(service.error());
    members_.front().service = members_.front().group = *service;
    if (!family_.isolation().pid_namespace) {
      std::thread([page = members_.front().page] {
        SendKicks(*reinterpret_cast<control::Control*>(page->bytes().data()),
                  KickScope::kOwnChildren);
      }).detach();
    }
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &children, nullptr) != 0) return SystemError("sigprocmask");
    // The keeper alone keeps the memory, so that what it gives up is free.
    for (const int fd :
         {options_.files.objects.get(), options_.files.blocks.get(), options_.files.control.get(),
          options_.files.code_window.get(), options_.template_fd, options_.userland_fd}) {
      if (fd >= 0) close(fd);
    }
    signals_.reset(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_.valid()) return SystemError("signalfd");
    return {};
  }

  static bool Send(const Member& member, const FamilyEvent& event) {
    return send(member.keeper.get(), &event, sizeof event, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           sizeof event;
  }

  [[noreturn]] void EndFamily() {
    for (Member& member : members_) {
      if (member.group > 0) (void)kill(-member.group, SIGKILL);
    }
    family_.Kill();
    KillOwnChildren();
    std::_Exit(0);
  }

  [[noreturn]] void Serve() {
    events_.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!events_.valid() || !Watch(signals_.get(), &signals_) ||
        !Watch(listener_socket_.get(), &listener_socket_) ||
        !Watch(members_.front().keeper.get(), &members_.front())) {
      EndFamily();
    }
    while (!members_.empty()) {
      bool anybody_dies = false;
      for (const Member& member : members_) anybody_dies |= member.is_dying;
      std::array<epoll_event, kMostEvents> ready;
      const int count = epoll_wait(events_.get(), ready.data(), kMostEvents,
                                   anybody_dies || is_behind_ ? kDyingPeriodMs : -1);
      bool have_guests_asked = false;
      for (const epoll_event& event : std::span(ready).first(std::max(count, 0))) {
        if (event.data.ptr == &signals_) {
          signalfd_siginfo ignored = {};
          while (read(signals_.get(), &ignored, sizeof ignored) > 0) {
          }
          has_children_ended_ = true;
        } else if (event.data.ptr == &listener_socket_) {
          TakeListener();
        } else if (event.data.ptr == &listener_) {
          have_guests_asked = true;
        } else if (event.data.ptr == &kickers_) {
          HearKickers();
        } else {
          ReadRequests(*static_cast<Member*>(event.data.ptr));
        }
      }
      if (have_guests_asked) AnswerGuests();
      if (has_children_ended_ || anybody_dies || is_behind_) Reap();
    }
    EndFamily();
  }

  bool Watch(int fd, void* what) {
    epoll_event event = {EPOLLIN, {what}};
    return epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  void Unwatch(int fd) { (void)epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  void TakeListener() {
    std::byte nothing{};
    Result<FdMessage> got = ReceiveWithFds(listener_socket_.get(), {&nothing, 1}, MSG_DONTWAIT);
    Unwatch(listener_socket_.get());
    listener_socket_.reset();
    // Without one, nobody inside is ever given anything.
    if (!got || got->fds.empty()) return;
    listener_ = std::move(got->fds.front());
    if (!Watch(listener_.get(), &listener_)) EndFamily();
  }

  void HearKickers() {
    const std::optional<uint64_t> failed = kickers_.NextFailed();
    for (Member& member : members_) {
      if (failed && member.kicks == *failed && !member.is_dying) BeginEnd(member);
    }
  }

  // --- keepers ---
  void ReadRequests(Member& member) {
    while (!member.is_dying) {
      FamilyRequest request;
      Result<FdMessage> got =
          ReceiveWithFds(member.keeper.get(), WritableBytesOf(request), MSG_DONTWAIT);
      if (!got && got.error().system_errno == EAGAIN) return;
      if (!got || got->size != sizeof request) {
        BeginEnd(member);
      } else if (request.kind == FamilyRequest::kTakeBack) {
        EndCopies(member);
      } else if (request.kind == FamilyRequest::kStop || request.kind == FamilyRequest::kContinue) {
        const int number = request.kind == FamilyRequest::kStop ? SIGSTOP : SIGCONT;
        if (member.group > 0) (void)kill(-member.group, number);
      } else {
        TakeGift(member, request, std::move(got->fds));
      }
    }
  }

  void BeginEnd(Member& member) {
    EndCopies(member);
    member.is_dying = true;
    member.dying_since = steady_clock::now();
    if (member.group > 0) (void)kill(-member.group, SIGKILL);
    if (member.keeper.valid()) Unwatch(member.keeper.get());
  }

  // Those that a gift made and that no keeper has yet.
  void EndCopies(Member& member) {
    if (member.copies_group > 0) {
      Member& left = members_.emplace_back();
      left.group = std::exchange(member.copies_group, 0);
      BeginEnd(left);
    }
    member.gift.copies = 0;
    for (const auto part :
         {control::kPartCopyObjects, control::kPartCopyBlocks, control::kPartCopyPage}) {
      member.gift.parts[part].reset();
    }
    member.gift.copy_link.reset();
    member.copies_page.reset();
  }

  void TakeGift(Member& member, const FamilyRequest& request, std::vector<OwnedFd> fds) {
    EndCopies(member);
    member.gift = {};
    member.complete.clear();
    auto next = fds.begin();
    for (uint32_t part = 0; part < control::kForkParts; ++part) {
      if ((request.parts >> part & 1) != 0 && next != fds.end())
        member.gift.parts[part] = std::move(*next++);
    }
    if (next != fds.end()) member.gift.copy_link = std::move(*next);
    member.gift_number = request.gift;
    member.gift.copies = request.copies;
    member.gift.copy_runs = request.copy_runs;
    if (const ino_t blocks = InodeOf(member.gift.parts[control::kPartBlocks]); blocks != 0) {
      member.live.push_back(blocks);
    }
    // Sealed, everybody may have it.
    std::erase(member.live, InodeOf(member.gift.parts[control::kPartOldBlocks]));
    const OwnedFd& page = member.gift.parts[control::kPartCopyPage];
    struct stat stat = {};
    if (!page.valid() || fstat(page.get(), &stat) != 0) return;
    Result<SharedMapping> mapping =
        SharedMapping::Map(page.get(), static_cast<uint64_t>(stat.st_size));
    if (mapping) member.copies_page = std::make_shared<SharedMapping>(std::move(*mapping));
  }

  // Not every process will be cloned: the keeper need not wait for that.
  void FailCopies(Member& member) {
    if (member.gift.copies == 0) return;
    EndCopies(member);
    FamilyEvent event;
    event.kind = FamilyEvent::kFailed;
    event.gift = member.gift_number;
    SetText(&event, "a process ended while it was cloned");
    (void)Send(member, event);
  }

  // --- deaths ---
  void Reap() {
    has_children_ended_ = is_behind_ = false;
    for (Member& member : members_) {
      if (member.copies_group > 0 && HasEnded(P_PGID, member.copies_group)) FailCopies(member);
    }
    if (family_.init() > 0 && HasEnded(P_PID, family_.init())) EndFamily();
    if (kickers_.pid() > 0 && HasEnded(P_PID, kickers_.pid())) LoseKickers();
    for (pid_t last = 0;;) {
      siginfo_t info = {};
      if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) break;
      Member* member = MemberOf(info.si_pid);
      if (member != nullptr) ReapMember(*member);
      // In the way of others: nobody's, or its keeper has to take other reports first.
      if (member == nullptr || info.si_pid == last) {
        for (Member& each : members_) ReapMember(each);
        break;
      }
      last = info.si_pid;
    }
    for (auto it = members_.begin(); it != members_.end();) {
      // Whoever was killed may have been the last one.
      if (it->is_dying && it->group > 0) ReapMember(*it);
      const bool over = it->is_dying && it->group == 0;
      if (it->is_dying && !over && steady_clock::now() - it->dying_since > kEndPatience) {
        EndFamily();
      }
      if (over && it->kicks != 0) kickers_.Remove(it->kicks);
      it = over ? members_.erase(it) : std::next(it);
    }
  }

  // Leaves it to be reaped.
  static bool HasEnded(idtype_t kind, pid_t id) {
    siginfo_t info = {};
    return waitid(kind, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
  }

  void LoseKickers() {
    (void)waitpid(kickers_.pid(), nullptr, WNOHANG);
    kickers_ = {};
    for (Member& member : members_) {
      if (member.kicks != 0 && !member.is_dying) BeginEnd(member);
    }
  }

  Member* MemberOf(pid_t pid) {
    const pid_t group = getpgid(pid);
    for (Member& member : members_) {
      if (group > 0 && member.group == group) return &member;
    }
    return nullptr;
  }

  void ReapMember(Member& member) {
    while (member.group > 0) {
      siginfo_t info = {};
      if (waitid(P_PGID, static_cast<id_t>(member.group), &info, WEXITED | WNOHANG | WNOWAIT) !=
          0) {
        // Its number may be somebody else's from now on.
        if (errno == ECHILD) member.group = 0;
        return;
      }
      if (info.si_pid == 0) return;
      if (!member.is_dying && !Report(member, info)) {
        is_behind_ = true;
        return;
      }
      (void)waitpid(info.si_pid, nullptr, WNOHANG);
    }
  }

  // False: the keeper has to take other reports first.
  bool Report(Member& member, const siginfo_t& info) {
    FamilyEvent event;
    event.kind = FamilyEvent::kDeath;
    event.death = {ProcessIdInside(info.si_pid), info.si_pid == member.service, info.si_code,
                   info.si_status};
    auto& page = *reinterpret_cast<control::Control*>(member.page->bytes().data());
    if (event.death.pid_inside == page.slots[0].host_pid.load()) event.death.is_service = true;
    const bool said_goodbye = info.si_code == CLD_EXITED && info.si_status == 0;
    if (said_goodbye && !event.death.is_service) return true;
    FailCopies(member);
    if (!Send(member, event)) return errno != EAGAIN;
    page.keeper_bell.fetch_add(1);
    platform::WakeWord(&page.keeper_bell, control::kKeeperThreads);
    return true;
  }

  // --- guests that clone themselves ---
  void AnswerGuests() {
    // Whoever asks without end must not keep us from anything else.
    for (int i = 0; i < kMostAnswers; ++i) {
      pollfd ready = {listener_.get(), POLLIN, 0};
      if (poll(&ready, 1, 0) != 1) return;
      if ((ready.revents & POLLIN) == 0) {
        listener_.reset();  // nobody is left who could ask
        return;
      }
      seccomp_notif asked = {};
      if (ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
      const int error = AnswerGuest(asked);
      if (error == 0) continue;
      seccomp_notif_resp refusal = {};
      refusal.id = asked.id;
      refusal.error = -error;
      (void)ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &refusal);
    }
  }

  int AnswerGuest(const seccomp_notif& asked) {
    const auto pid = static_cast<pid_t>(asked.pid);
    const auto part = asked.data.args[0];
    const pid_t group = getpgid(pid);
    if (part >= control::kForkParts || group <= 0) return EINVAL;
    for (Member& member : members_) {
      // A keeper said what it gives before it told its guests to ask.
      if (member.group == group || member.copies_group == group) ReadRequests(member);
      const bool is_own = member.group == group;
      const bool is_copy = member.copies_group == group;
      if (member.is_dying || (!is_own && !is_copy)) continue;
      const bool wants_copy = part >= control::kPartCopyObjects;
      if (!wants_copy && !is_own) return EPERM;
      if (!member.gift.parts[part].valid()) return ENOENT;
      if (wants_copy && is_own && !MoveToCopies(member, pid)) return EPERM;
      return GivePart(member, pid, asked.id, static_cast<control::ForkPart>(part));
    }
    return EPERM;
  }

  // A process may have the copy's memory when it has none of the sandbox that it was cloned from.
  bool MoveToCopies(Member& member, pid_t pid) {
    if (!IsDetached(pid, member.live, code_window_)) return false;
    const pid_t group = member.copies_group > 0 ? member.copies_group : pid;
    if (setpgid(pid, group) != 0) return false;
    member.copies_group = group;
    return true;
  }

  int GivePart(Member& member, pid_t pid, uint64_t id, control::ForkPart part) {
    seccomp_notif_addfd give = {};
    give.id = id;
    give.flags = SECCOMP_ADDFD_FLAG_SEND;
    give.srcfd = static_cast<uint32_t>(member.gift.parts[part].get());
    if (ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0) {
      // ENOENT: it was interrupted and asks again.
      return errno == ENOENT ? 0 : errno;
    }
    if (part == control::kPartCopyPage) member.complete.insert(pid);
    if (member.gift.copies > 0 && member.complete.size() == member.gift.copies) Complete(member);
    return 0;
  }

  void Complete(Member& member) {
    Member& copy = members_.emplace_back();
    copy.group = std::exchange(member.copies_group, 0);
    copy.keeper = std::move(member.gift.copy_link);
    copy.page = std::exchange(member.copies_page, nullptr);
    for (const auto part :
         {control::kPartCopyObjects, control::kPartCopyBlocks, control::kPartCopyPage}) {
      if (const ino_t inode = InodeOf(member.gift.parts[part]); inode != 0) {
        copy.live.push_back(inode);
      }
    }
    FamilyEvent event;
    event.kind = FamilyEvent::kCopied;
    event.gift = member.gift_number;
    event.group = copy.group;
    if (member.gift.copy_runs) copy.kicks = ++last_kicks_;
    const OwnedFd page = std::move(member.gift.parts[control::kPartCopyPage]);
    EndCopies(member);
    (void)Send(member, event);
    if (!Watch(copy.keeper.get(), &copy) || (copy.kicks != 0 && !SendKicksOf(copy, page))) {
      BeginEnd(copy);
    }
  }

  bool SendKicksOf(const Member& member, const OwnedFd& page) {
    const bool is_first = kickers_.pid() == 0;
    return kickers_.Add(family_, page, member.kicks) &&
           (!is_first || Watch(kickers_.socket(), &kickers_));
  }

  const FamilyLink::Options& options_;
  Family family_;
  Kickers kickers_;
  std::list<Member> members_;
  OwnedFd events_, signals_, listener_socket_, listener_;
  ino_t code_window_ = 0;
  uint64_t last_kicks_ = 0;
  bool has_children_ended_ = false;
  bool is_behind_ = false;
};

}  // namespace

void RunFamilyProcess(const FamilyLink::Options& options, OwnedFd keeper) {
  FamilyProcess(options, std::move(keeper)).Run();
}

}  // namespace cordon::backend
