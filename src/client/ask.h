#ifndef CORDON_CLIENT_ASK_H_
#define CORDON_CLIENT_ASK_H_

// Requests about one sandbox.

#include <memory>
#include <string>
#include <type_traits>

#include "client/answers.h"
#include "client/connection.h"

namespace cordon::client {

[[nodiscard]] Error Destroyed();
// `connection` is null when the sandbox was destroyed.
[[nodiscard]] Result<Json> AskOf(const std::shared_ptr<Connection>& connection,
                                 const std::string& sandbox, const char* method,
                                 Json params = Json::object(), const Manner& manner = {});
// With a descriptor that comes with the answer.
[[nodiscard]] Result<OwnedFd> AskTaking(const std::shared_ptr<Connection>& connection,
                                        const std::string& sandbox, const char* method,
                                        Json params);
[[nodiscard]] Status AskDone(const std::shared_ptr<Connection>& connection,
                             const std::string& sandbox, const char* method,
                             Json params = Json::object());
// What `make` makes of an answer.
template <typename Make>
[[nodiscard]] auto Then(const Result<Json>& answer, Make make)
    -> Result<std::invoke_result_t<Make, const Json&>> {
  if (!answer) return std::unexpected(answer.error());
  return make(*answer);
}

}  // namespace cordon::client

#endif  // CORDON_CLIENT_ASK_H_
