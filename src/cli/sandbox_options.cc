#include "cli/sandbox_options.h"

#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/complain.h"

namespace cordon::cli {

void AddSocketOption(Command& command, std::string* socket) {
  command.AddOption("--socket", *socket, "of `cordon serve --unix`")
      .From("CORDON_SOCKET")
      .Required();
}

int WithClient(const std::string& socket, const std::function<Result<int>(Client&)>& action) {
  Result<Client> client = Client::Connect(socket);
  const Result<int> done = client ? action(*client) : Result<int>(std::unexpected(client.error()));
  if (done) return *done;
  return Refuse(done.error());
}

int WithClient(const std::string& socket, Answer& answer,
               const std::function<Status(Client&)>& action) {
  Result<Client> client = Client::Connect(socket);
  if (!client) return answer.Refuse(client.error());
  const Status done = action(*client);
  return done ? 0 : answer.Refuse(done.error());
}

int WithSandbox(const std::string& socket, const std::string& id, Answer& answer,
                const std::function<Status(Sandbox&)>& action) {
  return WithClient(socket, answer, [&](Client& client) {
    Sandbox sandbox = client.Open(id);
    return action(sandbox);
  });
}

}  // namespace cordon::cli
