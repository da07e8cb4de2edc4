#ifndef CORDON_NET_ASKERS_H_
#define CORDON_NET_ASKERS_H_

// Who asked for what was refused, as whoever started the gateway can find out.

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "net/async.h"
#include "net/rules.h"
#include "net/socket_question.h"

namespace cordon::net {

class Askers {
 public:
  // Nobody is asked if `control` is -1.
  Askers(asio::io_context& loop, int control) : loop_(loop), control_(control) {}

  // Empty if nobody can tell, or not in time: a refusal waits for it, and not for long.
  awaitable<std::string> Find(const Flow& flow);
  // An answer that came over the control channel.
  void Take(std::string_view text);

 private:
  struct Waiting {
    AsyncFd woken;
    std::string who;
  };

  asio::io_context& loop_;
  int control_;
  uint64_t asked_ = 0;
  std::map<uint64_t, std::shared_ptr<Waiting>> waiting_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_ASKERS_H_
