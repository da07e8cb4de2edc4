#include "net/async.h"

#include <sched.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/impl/src.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/spin_habit.h"

namespace cordon::net {
namespace {

constexpr auto kResult = asio::as_tuple(asio::use_awaitable);

// Longer than a server on this machine takes to answer.
constexpr auto kLookTime = std::chrono::microseconds(50);
// Who yields for so long has somebody beside him who computes, and nobody looks for a while.
constexpr auto kCrowded = std::chrono::milliseconds(1);
constexpr auto kCrowdedFor = std::chrono::milliseconds(50);

class Looker {
 public:
  // Runs what comes soon; false if nothing did.
  bool Look(asio::io_context& loop) {
    Clock::time_point now = Clock::now();
    if (now < crowded_until_ || !habit_.IsWorthIt()) return false;
    bool helped = loop.poll() > 0;
    for (const Clock::time_point end = now + kLookTime; !helped && now < end;) {
      sched_yield();
      const Clock::time_point before = std::exchange(now, Clock::now());
      if (now - before > kCrowded) crowded_until_ = now + kCrowdedFor;
      helped = loop.poll() > 0;
    }
    habit_.Note(helped);
    return helped;
  }

 private:
  SpinHabit habit_;
  Clock::time_point crowded_until_;
};

}  // namespace

awaitable<bool> AsyncFd::Wait(asio::posix::stream_descriptor::wait_type what) {
  if (number_ < 0) co_return false;
  if (!waiter_) {
    boost::system::error_code failed;
    waiter_.emplace(loop_).assign(fd_.get(), failed);
    if (failed) {
      waiter_.reset();
      co_return false;
    }
    (void)fd_.release();
  }
  const auto [error] = co_await waiter_->async_wait(what, kResult);
  co_return !error;
}

awaitable<bool> AsyncFd::Readable() {
  return Wait(asio::posix::stream_descriptor::wait_read);
}
awaitable<bool> AsyncFd::Writable() {
  return Wait(asio::posix::stream_descriptor::wait_write);
}

void AsyncFd::Cancel() {
  boost::system::error_code ignored;
  if (waiter_) waiter_->cancel(ignored);
}

void AsyncFd::Reset() {
  const linger at_once = {1, 0};
  (void)setsockopt(get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  boost::system::error_code ignored;
  if (waiter_) waiter_->close(ignored);
  fd_.reset();
  number_ = -1;
}

Deadline::Deadline(asio::io_context& loop, AsyncFd& fd, Clock::duration after)
    : target_(std::make_shared<AsyncFd*>(&fd)), timer_(loop, after) {
  timer_.async_wait([target = std::weak_ptr(target_)](const boost::system::error_code& error) {
    const auto still_there = target.lock();
    if (!error && still_there) (*still_there)->Cancel();
  });
}

awaitable<void> Event::Wait() {
  co_await timer_.async_wait(kResult);
}

void RunAwake(asio::io_context& loop) {
  Looker looker;
  while (!loop.stopped()) {
    if (!looker.Look(loop)) (void)loop.run_one();
  }
}

awaitable<void> Sleep(Clock::duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(kResult);
}

awaitable<void> Yield() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

}  // namespace cordon::net
