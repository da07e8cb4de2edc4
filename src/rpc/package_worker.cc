#include "rpc/package_worker.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include "base/owned_fd.h"

namespace cordon::rpc {
namespace {

namespace asio = boost::asio;

constexpr size_t kMostMessage = size_t{16} << 20;  // a whole index
constexpr int kPipe = 3;

void WriteLine(const Json& message) {
  const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t put = write(kPipe, line.data() + done, line.size() - done);
    if (put < 0 && errno == EINTR) continue;
    // The daemon is gone.
    if (put < 0) _exit(125);
    done += static_cast<size_t>(put);
  }
}

[[noreturn]] void BecomeWorker(const std::function<void(const Say&)>& work, int pipe,
                               pid_t daemon) {
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) (void)signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != daemon) _exit(125);
  // One signal reaches the fetcher and the compiler, too, however new they are.
  if (setpgid(0, 0) != 0) _exit(125);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
      dup2(pipe, kPipe) < 0 || fcntl(kPipe, F_SETFD, FD_CLOEXEC) != 0 ||
      syscall(SYS_close_range, kPipe + 1, ~0U, 0) != 0) {
    _exit(125);
  }
  work(WriteLine);
  _exit(0);
}

}  // namespace

// The daemon's end.
class PackageWorkers::Job : public std::enable_shared_from_this<Job> {
 public:
  Job(asio::io_context& loop, OwnedFd pipe, pid_t pid, OwnedFd pidfd, WorkerListener listener)
      : input_(loop, pipe.release()),
        pid_(pid),
        pidfd_(std::move(pidfd)),
        lines_(kMostMessage),
        listener_(std::move(listener)) {}

  void Read() {
    input_.async_read_some(
        asio::buffer(buffer_),
        [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
          if (error) return self->listener_.on_end();
          self->lines_.Add({self->buffer_.data(), count});
          while (const auto line = self->lines_.Next()) {
            const Json message = Json::parse(line->text, nullptr, /*allow_exceptions=*/false);
            if (message.is_object()) self->listener_.on_message(message);
          }
          self->Read();
        });
  }
  // The worker and what it started: they are a process group. Its number is nobody else's while the
  // worker has not been reaped.
  void Kill() const {
    const bool is_there = syscall(SYS_pidfd_send_signal, pidfd_.get(), 0, nullptr, 0) == 0;
    if (is_there) (void)kill(-pid_, SIGKILL);
  }

 private:
  asio::posix::stream_descriptor input_;
  pid_t pid_;
  OwnedFd pidfd_;
  LineReader lines_;
  WorkerListener listener_;
  std::array<char, 16 * 1024> buffer_ = {};
};

std::function<void()> PackageWorkers::Run(const std::function<void(const Say&)>& work,
                                          WorkerListener listener) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    listener.on_end();
    return {};
  }
  OwnedFd reader(ends[0]);
  const OwnedFd writer(ends[1]);
  const pid_t daemon = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    listener.on_end();
    return {};
  }
  if (pid == 0) BecomeWorker(work, writer.get(), daemon);
  // As it does itself: whoever comes first.
  (void)setpgid(pid, pid);
  OwnedFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const auto job =
      std::make_shared<Job>(loop_, std::move(reader), pid, std::move(pidfd), std::move(listener));
  std::erase_if(jobs_, [](const auto& one) { return one.expired(); });
  jobs_.push_back(job);
  job->Read();
  return [weak = std::weak_ptr(job)] {
    if (const auto running = weak.lock()) running->Kill();
  };
}

void PackageWorkers::End() {
  for (const auto& one : std::exchange(jobs_, {})) {
    if (const auto job = one.lock()) job->Kill();
  }
}

void PackageOptimiser::Want(const packages::Tools& tools, const std::string& hash,
                            std::function<void()> then) {
  if (!wanted_.contains(hash)) order_.push_back(hash);
  Wanted& wanted = wanted_[hash];
  wanted.tools = tools;
  wanted.then.push_back(std::move(then));
  if (!is_busy_) Next();
}

void PackageOptimiser::Next() {
  is_busy_ = !order_.empty();
  if (!is_busy_) return;
  const std::string hash = order_.front();
  order_.pop_front();
  const auto is_made = std::make_shared<bool>(false);
  workers_.Run(
      [tools = wanted_[hash].tools, hash](const Say& say) {
        constexpr int kBackground = 10;  // nice(2)
        (void)setpriority(PRIO_PROCESS, 0, kBackground);
        const Status made = packages::OptimiseStored(tools, hash);
        say({{"made", made.has_value()}});
      },
      {[is_made](const Json& message) { *is_made = message.value("made", false); },
       [this, hash, is_made] {
         const Wanted wanted = std::move(wanted_.extract(hash).mapped());
         for (const auto& then : wanted.then) {
           if (*is_made) then();
         }
         Next();
       }});
}

}  // namespace cordon::rpc
