#include "client/ask.h"

#include <utility>

namespace cordon::client {

Error Destroyed() {
  return {ErrorCode::kInvalid, "Sandbox has been destroyed", {}, 0};
}

Result<Json> AskOf(const std::shared_ptr<Connection>& connection, const std::string& sandbox,
                   const char* method, Json params, const Manner& manner) {
  if (!connection) return std::unexpected(Destroyed());
  params["sandboxId"] = sandbox;
  return connection->Ask(method, std::move(params), manner);
}

Result<OwnedFd> AskTaking(const std::shared_ptr<Connection>& connection, const std::string& sandbox,
                          const char* method, Json params) {
  if (!connection) return std::unexpected(Destroyed());
  params["sandboxId"] = sandbox;
  return connection->AskTaking(method, std::move(params));
}

Status AskDone(const std::shared_ptr<Connection>& connection, const std::string& sandbox,
               const char* method, Json params) {
  const Result<Json> answer = AskOf(connection, sandbox, method, std::move(params));
  return answer ? Status() : std::unexpected(answer.error());
}

}  // namespace cordon::client
