#ifndef CORDON_RPC_POOL_H_
#define CORDON_RPC_POOL_H_

// Sandboxes that were made before anybody asked, of the kind that was asked for last.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>

#include "rpc/sandbox_link.h"

namespace cordon::rpc {

class Pool {
 public:
  // With the size 0 it does nothing.
  Pool(asio::io_context& loop, size_t size) : loop_(loop), timer_(loop), size_(size) {}

  // From now on sandboxes of this kind are kept, one being made at a time; others end. One that can
  // be saved is of no kind: its folder is its own.
  void Keep(const live::LiveOptions& options);
  // One of this kind that is ready, or null; `handler` hears what comes from it unasked, and its
  // end.
  [[nodiscard]] std::shared_ptr<SandboxLink> Take(const live::LiveOptions& options,
                                                  SandboxLink::Handler handler);
  // All end, and no more are made.
  void Close();

 private:
  struct Warm {
    std::shared_ptr<SandboxLink> link;
    std::shared_ptr<SandboxLink::Handler> heir;  // who has taken it
    bool is_ready = false;
  };
  void FillAfter(std::chrono::milliseconds time);
  void Fill();
  void Hear(const SandboxLink::Handler* warm, const live::Frame& frame);

  asio::io_context& loop_;
  asio::steady_timer timer_;
  size_t size_;
  std::optional<live::LiveOptions> kind_;
  std::list<Warm> warm_;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_POOL_H_
