#include "cli/daemon_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "live/frame.h"

namespace cordon::cli {

Result<DaemonClient> DaemonClient::Connect(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Fail(ErrorCode::kInvalid, "a path of 1 to 107 bytes is needed", "--socket");
  }
  memcpy(address.sun_path, path.data(), path.size());
  OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket(AF_UNIX)");
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return SystemError("connect(" + path + ")");
  }
  return DaemonClient(std::move(socket));
}

Result<rpc::Json> DaemonClient::Ask(const std::string& method, const rpc::Json& params) {
  const int64_t id = ++last_id_;
  const rpc::Json request = {
      {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  if (!live::SendAll(socket_.get(), request.dump() + "\n")) return SystemError("send()");
  std::array<char, 64 * 1024> buffer = {};
  for (;;) {
    while (const auto line = lines_.Next()) {
      const rpc::Json answer = rpc::Json::parse(line->text, nullptr, /*allow_exceptions=*/false);
      if (!answer.is_object() || answer.value("id", rpc::Json()) != id) continue;
      if (answer.contains("result")) return answer["result"];
      return Fail(ErrorCode::kInvalid, answer["error"].value("message", "refused"));
    }
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(ErrorCode::kSystem, "the daemon has ended");
    lines_.Add({buffer.data(), static_cast<size_t>(got)});
  }
}

}  // namespace cordon::cli
