#ifndef CORDON_RPC_POOL_H_
#define CORDON_RPC_POOL_H_

// Sandboxes that were made before anybody asked, of the kind that was asked for last or of one that
// a client has chosen.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "rpc/quota.h"
#include "rpc/sandbox_link.h"

namespace cordon::rpc {

class Pool {
 public:
  // With the size 0 it does nothing.
  Pool(asio::io_context& loop, size_t size, Quota& quota)
      : loop_(loop), timer_(loop), quota_(quota), size_(size) {}

  // From now on sandboxes of this kind are kept, one being made at a time; others end. One that can
  // be saved is of no kind: its folder is its own.
  void Keep(const live::LiveOptions& options);
  // From now on `size` of this kind are kept, whatever else is asked for: one that was taken is
  // replaced after `pause`, and only as long as there are fewer than `most` with those that
  // `in_use` counts. `then` hears when they are there, or why they cannot be; once.
  struct Choice {
    size_t size;
    size_t most;
    std::chrono::milliseconds pause;
    std::function<size_t()> in_use;
  };
  void Choose(const live::LiveOptions& options, Choice choice,
              std::function<void(const std::string& error)> then);
  // A sandbox has ended: there may be room for one that waits.
  void MakeRoom();
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
  void HasRun(const SandboxLink::Handler* warm);
  void SetKind(const live::LiveOptions& options);
  [[nodiscard]] bool IsFull() const;
  void Tell(const std::string& error);

  asio::io_context& loop_;
  asio::steady_timer timer_;
  Quota& quota_;
  size_t size_;
  std::optional<Choice> choice_;
  std::function<void(const std::string&)> then_;
  bool is_armed_ = false;
  std::optional<live::LiveOptions> kind_;
  std::list<Warm> warm_;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_POOL_H_
