#ifndef CORDON_RPC_PACKAGE_QUEUE_H_
#define CORDON_RPC_PACKAGE_QUEUE_H_

// What is to be done about a sandbox's packages: one thing after the other, each until it is done
// or nobody waits for it any more.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "rpc/message.h"

namespace cordon::rpc {

class Client;

// Who waits for it: a client with a request, or a guest with its conversation.
struct Asker {
  const Client* client = nullptr;
  Json request;
  int64_t channel = -1;
  int64_t number = 0;
};

// One thing that was asked for.
class Errand {
 public:
  Errand(Asker asker, std::function<void()> on_given_up)
      : asker_(std::move(asker)), on_given_up_(std::move(on_given_up)) {}

  // What is used for it ends when it is given up.
  void Use(std::function<void()> kill) { kill_ = std::move(kill); }
  // From now on it is not given up: what is left to do takes no time, and has a result.
  void Commit() { is_committed_ = true; }
  [[nodiscard]] bool is_given_up() const { return is_given_up_; }

 private:
  friend class PackageQueue;
  void GiveUp();

  Asker asker_;
  std::function<void()> on_given_up_;
  std::function<void()> kill_;
  bool is_committed_ = false;
  bool is_given_up_ = false;
};
using ErrandPtr = std::shared_ptr<Errand>;

class PackageQueue : public std::enable_shared_from_this<PackageQueue> {
 public:
  // `finish` is called once, also after the errand was given up.
  using Task = std::function<void(std::function<void()> finish)>;
  using Which = std::function<bool(const Asker&)>;

  // False: too many wait already.
  [[nodiscard]] bool Add(const ErrandPtr& errand, Task task);
  // Beside the queue: nothing has to wait for it.
  void Watch(const ErrandPtr& errand) { watched_.push_back(errand); }
  // Who waits is told at once, what was not begun is not, what runs for it is killed. How many.
  int64_t GiveUp(const Which& which);

 private:
  struct Waiting {
    ErrandPtr errand;
    Task task;
  };
  void RunNext();

  std::deque<Waiting> waiting_;
  std::vector<std::weak_ptr<Errand>> watched_;
  bool is_busy_ = false;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGE_QUEUE_H_
