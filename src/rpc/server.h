#ifndef CORDON_RPC_SERVER_H_
#define CORDON_RPC_SERVER_H_

// The daemon: clients, sandboxes and who owns which. One thread.

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/error.h"
#include "base/random_digits.h"
#include "rpc/message.h"
#include "rpc/package_worker.h"
#include "rpc/pool.h"
#include "rpc/quota.h"
#include "rpc/sandbox_link.h"

namespace cordon::rpc {

class AutoSave;
class Client;
class Extensions;
class Packages;

struct ServerOptions {
  std::string template_path;
  std::string userland_path;
  std::string unpacker_path;  // of cordon-unpack
  size_t max_sandboxes = 64;
  size_t max_request_bytes = size_t{8} << 20;
  Quota::Limits total;
  size_t pool = 0;           // sandboxes that are made before somebody asks
  std::string state_folder;  // has a folder for each namespace; empty: nothing can be saved
  // For packages: cordon-compile, cordon-fetch, and authorities, PEM.
  std::string compiler_path, fetcher_path;
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";
};

struct RunLimits {
  int64_t timeout_ms = 30'000;
  int64_t stdout_bytes = int64_t{16} << 20;
  int64_t stderr_bytes = int64_t{16} << 20;
  int64_t command_bytes = 64 * 1024;
};

// Whether a sandbox has processes (methods_offload.cc).
enum class Presence {
  kHere,
  kLeaving,    // its state is being taken; nothing may change it
  kAway,       // it has none
  kReturning,  // it has, and waits for its state
};

// A sandbox as clients see it.
struct Sandbox {
  // Not to be guessed: it is all that a connection needs to name a detached sandbox.
  static constexpr size_t kIdDigits = 32;
  std::string id = RandomDigits(kIdDigits);
  std::string label;  // its client's name for it; may be empty
  live::LiveOptions options;
  std::shared_ptr<SandboxLink> link;
  Presence presence = Presence::kHere;
  std::weak_ptr<Client> leaves_for;  // who has to say offload.end
  RunLimits limits;
  std::weak_ptr<Client> owner;
  bool detached = false;
  bool is_there = false;       // its client was told of it
  bool is_audited = false;     // its client hears what happens to it
  uint64_t missed_events = 0;  // because the client did not listen
  uint64_t last_snapshot = 0;  // of those without a name
  // What cancel may name, by the id at the keeper: commands, and who waits for a turn.
  struct Running {
    const Client* client;
    Json request;
  };
  std::map<uint32_t, Running> running;
  bool can_be_saved = false;
  int64_t autosave_ms = 0;                 // of a persistent one
  std::shared_ptr<AutoSave> autosave;      // of a persistent one, as soon as it was loaded
  std::shared_ptr<Extensions> extensions;  // as soon as it is ready
  std::shared_ptr<Packages> packages;      // where its policy enables them
};

class Server {
 public:
  explicit Server(ServerOptions options);

  // Until standard input ends or somebody ends the daemon. Nothing of a sandbox is left then.
  [[nodiscard]] Status ServeStdio();
  // A socket for this user alone.
  [[nodiscard]] Status ServeUnix(const std::string& path);

  [[nodiscard]] asio::io_context& loop() { return loop_; }
  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] std::map<std::string, std::shared_ptr<Sandbox>>& sandboxes() { return sandboxes_; }
  [[nodiscard]] Pool& pool() { return pool_; }
  [[nodiscard]] Quota& quota() { return quota_; }
  [[nodiscard]] PackageWorkers& workers() { return workers_; }
  [[nodiscard]] PackageOptimiser& optimiser() { return optimiser_; }
  // Ends it, after the last save of a persistent one. `then` hears why that could not be, or
  // nothing.
  void Forget(const std::shared_ptr<Sandbox>& sandbox,
              const std::function<void(const std::string& error)>& then = {});
  [[nodiscard]] bool is_stdio() const { return is_stdio_; }
  // The connection is gone: its sandboxes end.
  void Leave(Client& client);

 private:
  void Accept();
  void WatchSignals();
  void ReapKeepers();
  void Run();
  // One that is ended because all together have too much.
  void AuditTotal(const SandboxLink& link, const char* limit);
  void FinishSaves();

  ServerOptions options_;
  asio::io_context loop_;
  asio::signal_set signals_;
  Quota quota_;
  Pool pool_;
  PackageWorkers workers_{loop_};
  PackageOptimiser optimiser_{workers_};
  std::unique_ptr<asio::local::stream_protocol::acceptor> acceptor_;
  std::set<std::shared_ptr<Client>> clients_;
  std::map<std::string, std::shared_ptr<Sandbox>> sandboxes_;
  std::set<std::shared_ptr<Sandbox>> ending_;  // that are saved once more
  bool is_stdio_ = false;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_SERVER_H_
