#ifndef CORDON_CLIENT_EXTENSION_HOST_H_
#define CORDON_CLIENT_EXTENSION_HOST_H_

// Commands of sandboxes that this connection serves, each call in a thread of its own.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "cordon/extensions.h"
#include "rpc/message.h"

namespace cordon::client {

class Connection;

class ExtensionHost {
 public:
  explicit ExtensionHost(Connection& connection) : connection_(connection) {}
  ExtensionHost(const ExtensionHost&) = delete;
  ExtensionHost& operator=(const ExtensionHost&) = delete;

  // Of one sandbox, by name.
  using Handlers = std::map<std::string, std::shared_ptr<const ExtensionHandler>>;

  // What the sandbox has is replaced by name; what it had is returned.
  [[nodiscard]] Handlers Add(const std::string& sandbox, const std::vector<Extension>& extensions);
  void Set(const std::string& sandbox, Handlers handlers);
  void Remove(const std::string& sandbox, const std::string& name);
  void Forget(const std::string& sandbox);
  // A fork has what its origin has. It may call before whoever made it has heard of it: such a call
  // waits while this lives.
  class Forking {
   public:
    explicit Forking(ExtensionHost& host);
    ~Forking();
    Forking(const Forking&) = delete;
    Forking& operator=(const Forking&) = delete;
    void Made(const std::string& from, const std::string& to);

   private:
    ExtensionHost& host_;
  };

  // A request or notification of the daemon; the reader's.
  void Invoke(const std::string& id, const rpc::Json& params);
  void Cancel(const std::string& id);
  // Nothing is asked any more; calls that go on are told.
  void Stop();
  // Waits for them.
  void Join();

 private:
  struct Going {
    std::string id, sandbox, name;
    ExtensionCall call;
    std::stop_source stop;
    std::atomic<bool> is_over = false;
    std::thread thread;
  };

  void Run(Going& going);
  [[nodiscard]] Result<int> StatusOf(Going& going);
  void StopThose(const std::function<bool(const Going&)>& are_meant);
  [[nodiscard]] std::shared_ptr<const ExtensionHandler> Find(const Going& going);

  Connection& connection_;
  std::mutex lock_;  // of everything below
  std::condition_variable changed_;
  std::map<std::string, Handlers> served_;
  std::list<std::unique_ptr<Going>> going_;
  int forking_ = 0;
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_EXTENSION_HOST_H_
