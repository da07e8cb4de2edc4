#ifndef CORDON_NET_ASYNC_H_
#define CORDON_NET_ASYNC_H_

// The event loop, as the gateway uses it: descriptors that do not block, waited for by coroutines.
// The only header that includes Asio, whose functions are compiled once, in async.cc.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/owned_fd.h"

namespace cordon::net {

namespace asio = boost::asio;
using asio::awaitable;
using Clock = std::chrono::steady_clock;

// A descriptor of the loop, which hears of it when somebody waits for the first time. What is read
// and written is the owner's own system calls, tried first.
class AsyncFd {
 public:
  AsyncFd(asio::io_context& loop, OwnedFd fd)
      : loop_(loop), number_(fd.get()), fd_(std::move(fd)) {}

  [[nodiscard]] int get() const { return number_; }
  // False when the wait was ended by Cancel.
  awaitable<bool> Readable();
  awaitable<bool> Writable();
  void Cancel();
  // Closes with a reset instead of an end: what was sent may not have arrived.
  void Reset();

 private:
  awaitable<bool> Wait(asio::posix::stream_descriptor::wait_type what);

  asio::io_context& loop_;
  int number_;  // -1: closed
  OwnedFd fd_;  // until somebody waits
  std::optional<asio::posix::stream_descriptor> waiter_;
};

// Ends the waits of a descriptor when its time is over, unless it is destroyed before.
class Deadline {
 public:
  Deadline(asio::io_context& loop, AsyncFd& fd, Clock::duration after);

 private:
  // Its end may already be on its way when this object goes.
  std::shared_ptr<AsyncFd*> target_;
  asio::steady_timer timer_;
};

// Something that happens once, and that several wait for.
class Event {
 public:
  explicit Event(asio::io_context& loop) : timer_(loop, Clock::time_point::max()) {}

  awaitable<void> Wait();  // for ever, if it has happened
  void Happen() { timer_.cancel(); }

 private:
  asio::steady_timer timer_;
};

// Runs the loop until it is stopped. What follows soon is answered sooner than a processor that
// sleeps is woken up: a moment is spent looking for it, while nobody else needs the processor.
void RunAwake(asio::io_context& loop);
awaitable<void> Sleep(Clock::duration time);
// Lets everybody else go on who can.
awaitable<void> Yield();

}  // namespace cordon::net

#endif  // CORDON_NET_ASYNC_H_
