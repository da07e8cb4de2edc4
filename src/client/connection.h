#ifndef CORDON_CLIENT_CONNECTION_H_
#define CORDON_CLIENT_CONNECTION_H_

// The client's end of the protocol, in MessagePack: any thread asks, one thread reads.

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/owned_fd.h"
#include "cordon/cordon.h"
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

class Connection {
 public:
  [[nodiscard]] static Result<std::shared_ptr<Connection>> Start(const std::string& program);
  [[nodiscard]] static Result<std::shared_ptr<Connection>> Connect(const std::string& path);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // The result, or why there is none. `on_output` hears a run's output.
  [[nodiscard]] Result<Json> Ask(const char* method, Json params,
                                 const OutputHandler& on_output = {});
  // With a descriptor that goes with it, or comes with the answer.
  [[nodiscard]] Result<Json> AskGiving(const char* method, Json params, int file);
  [[nodiscard]] Result<OwnedFd> AskTaking(const char* method, Json params);
  // The same for a process, which is known before it says a word.
  [[nodiscard]] Status Spawn(Json params, const std::shared_ptr<Running>& running);
  [[nodiscard]] Result<CommandResult> Wait(Running& running);

 private:
  struct Waiting {
    const OutputHandler* on_output = nullptr;
    std::shared_ptr<Running> running;
    std::optional<Result<Json>> answer;
    int given = -1;
    bool takes = false;
    OwnedFd taken;
  };

  Connection(OwnedFd socket, pid_t daemon);
  [[nodiscard]] Result<Json> AskAs(const char* method, Json params, Waiting& waiting);
  void Read();
  void Take(const Json& message);
  void TakeNotification(const std::string& method, const Json& params);
  void TakeAnswer(const Json& message);
  void EndAll();

  OwnedFd socket_;
  // That came: those who take them are answered in their order. The reader's alone.
  std::deque<OwnedFd> files_;
  pid_t daemon_;  // of our own, or -1
  std::mutex send_lock_;
  std::mutex lock_;  // of everything below
  std::condition_variable changed_;
  std::map<int64_t, Waiting*> waiting_;
  std::map<uint32_t, std::shared_ptr<Running>> running_;
  int64_t last_id_ = 0;
  bool ended_ = false;
  std::thread reader_;
};

// What the daemon says of a command.
// What the member `error` of an answer says.
[[nodiscard]] Error RefusalOf(const Json& error);
[[nodiscard]] CommandResult ResultOf(const Json& json);
// A member that is bytes or text.
[[nodiscard]] std::string TextOf(const Json& object, const char* name);
[[nodiscard]] Json BytesOf(std::string_view bytes);

}  // namespace cordon::client

#endif  // CORDON_CLIENT_CONNECTION_H_
