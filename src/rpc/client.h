#ifndef CORDON_RPC_CLIENT_H_
#define CORDON_RPC_CLIENT_H_

// One connection. Whoever begins with a zero byte, of the length of a first message, talks in
// packed messages and gets such; everybody else in lines. It is read only as fast as it takes
// answers, so that a client that takes none costs a bounded amount of memory.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rpc/server.h"

namespace cordon::rpc {

// A process of `spawn`.
struct Process {
  std::weak_ptr<Sandbox> sandbox;
  uint32_t run = 0;
  bool has_terminal = false;
  // Answers of process.write, in order, with the bytes that have to go on before.
  struct Write {
    int64_t left;
    std::function<void(bool)> done;
  };
  std::vector<Write> writes;
};

// A directory that the client watches.
struct Watch {
  std::weak_ptr<Sandbox> sandbox;
  uint32_t asked = 0;  // the request to the keeper
  std::string path;
  bool missed = false;  // events, because the client did not listen
};
void EndWatch(const Watch& watch);

class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Server& server, OwnedFd input, OwnedFd output);

  void Start();
  void Send(Json message);
  // A descriptor with its first byte. Only where IsSocket().
  void SendWithFile(Json message, OwnedFd file);
  // Descriptors can go over this connection (SCM_RIGHTS).
  [[nodiscard]] bool IsSocket() const { return is_socket_; }
  // The oldest one that came and that nobody took; none.
  [[nodiscard]] OwnedFd TakeFile();
  // A request to the client. `then` hears its answer, unless it is forgotten or the connection ends
  // before. The id of the request.
  using ReplyHandler = std::function<void(const Reply&)>;
  std::string Ask(const char* method, const Json& params, ReplyHandler then);
  void Forget(const std::string& id) { asked_.erase(id); }
  // Runs `then` as soon as the client has taken enough of what was sent to it.
  void WhenTaken(std::function<void()> then);
  // It has not taken what was sent to it, and hears nothing more that it did not ask for.
  [[nodiscard]] bool IsBehind() const;
  // No longer ones from now on.
  void LimitRequests(size_t most_bytes);
  // An archive that waits in a sandbox for this client: it goes with it, or has gone already.
  void Keep(const std::shared_ptr<SandboxLink>& link, int64_t blob);
  void LetGo(const std::shared_ptr<SandboxLink>& link, int64_t blob);
  // As if it went, as soon as it has been told what there is to tell.
  void LeaveWhenTold();
  void Close();
  [[nodiscard]] bool closed() const { return closed_; }

  Server& server;
  std::string first_sandbox;
  std::map<uint32_t, std::shared_ptr<Process>> processes;
  uint32_t last_process = 0;
  std::map<uint32_t, Watch> watches;
  uint32_t last_watch = 0;
  size_t requests = 0;  // that are not answered yet

 private:
  void Read();
  void TakeBytes(std::string_view bytes);
  void ReadSocket();
  void Write();
  [[nodiscard]] bool WriteFile();
  void TakeMessages();
  [[nodiscard]] std::optional<Arrived> NextMessage();

  asio::posix::stream_descriptor input_, output_;
  std::string buffer_;
  std::optional<Form> form_;  // the first byte that arrives says it
  LineReader lines_;
  PackReader packs_;
  std::string outgoing_, writing_;
  // Descriptors that wait, each with how many bytes of outgoing_ are before its own.
  struct Sent {
    size_t before;
    OwnedFd file;
  };
  std::deque<Sent> files_;
  std::deque<OwnedFd> arrived_;
  bool is_socket_ = false;
  std::vector<std::function<void()>> waiting_;
  std::map<std::string, ReplyHandler> asked_;
  uint64_t last_asked_ = 0;
  struct Blob {
    std::weak_ptr<SandboxLink> link;
    int64_t id;
  };
  std::vector<Blob> blobs_;
  bool reads_ = false;
  bool leaves_ = false;
  bool closed_ = false;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_CLIENT_H_
