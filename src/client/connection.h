#ifndef CORDON_CLIENT_CONNECTION_H_
#define CORDON_CLIENT_CONNECTION_H_

// The client's end of the protocol, in MessagePack: any thread asks, one thread reads.

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/owned_fd.h"
#include "client/extension_host.h"
#include "client/file_host.h"
#include "client/listeners.h"
#include "cordon/options.h"
#include "cordon/results.h"
#include "rpc/message.h"

namespace cordon::client {

using rpc::Json;

// Of one request; 8 MiB are allowed with what is around it.
inline constexpr size_t kPiece = size_t{4} << 20;

// A process of Spawn.
struct Running {
  uint32_t id = 0;
  OutputHandler on_output;
  std::optional<Result<CommandResult>> end;  // guarded by the connection's lock
};

// What a request has beside its parameters. What is pointed to stays until the answer.
struct Manner {
  const OutputHandler* on_output = nullptr;  // hears a run's output
  const LineHandler* on_progress = nullptr;  // hears what goes on
  std::stop_token stop = {};                 // cancels it; it is answered all the same
  // Called on the reader's thread with the result, before anything that the daemon said after it.
  std::function<void(const Json&)> known = {};
  int given = -1;  // a descriptor that goes with it
};

class Connection {
 public:
  [[nodiscard]] static Result<std::shared_ptr<Connection>> Start(const std::string& program);
  [[nodiscard]] static Result<std::shared_ptr<Connection>> Connect(const std::string& path);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // The result, or why there is none.
  [[nodiscard]] Result<Json> Ask(const char* method, Json params, const Manner& manner = {});
  // With a descriptor that comes with the answer.
  [[nodiscard]] Result<OwnedFd> AskTaking(const char* method, Json params);
  // The same for a process, which is known before it says a word.
  [[nodiscard]] Status Spawn(Json params, const std::shared_ptr<Running>& running);
  [[nodiscard]] Result<CommandResult> Wait(Running& running);

  // To a request of the daemon's.
  void Answer(const Json& message);

  [[nodiscard]] Listeners& listeners() { return listeners_; }
  [[nodiscard]] ExtensionHost& extensions() { return extensions_; }
  [[nodiscard]] FileHost& file_host() { return file_host_; }

 private:
  struct Waiting {
    const Manner& manner;
    std::optional<Result<Json>> answer = {};
    bool takes = false;
    OwnedFd taken = {};
  };

  Connection(OwnedFd socket, pid_t daemon);
  [[nodiscard]] Result<Json> AskAs(const char* method, Json params, Waiting& waiting);
  void Send(const Json& message, int file = -1);
  // Nobody waits for its answer.
  void Cancel(const Json& sandbox, int64_t request);
  void Read();
  void Take(const Json& message);
  void TakeNotification(const std::string& method, const Json& params);
  void TakeCommandNews(const std::string& method, const Json& params);
  void TakeRequest(const std::string& method, const Json& message);
  void TakeAnswer(const Json& message);
  void EndAll();

  OwnedFd socket_;
  // That came: those who take them are answered in their order. The reader's alone.
  std::deque<OwnedFd> files_;
  pid_t daemon_;  // of our own, or -1
  Listeners listeners_;
  ExtensionHost extensions_{*this};
  FileHost file_host_;
  std::mutex send_lock_;
  std::mutex lock_;  // of everything below
  std::condition_variable changed_;
  std::map<int64_t, Waiting*> waiting_;
  std::map<uint32_t, std::shared_ptr<Running>> running_;
  int64_t last_id_ = 0;
  bool ended_ = false;
  std::thread reader_;
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_CONNECTION_H_
