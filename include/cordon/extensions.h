#ifndef CORDON_EXTENSIONS_H_
#define CORDON_EXTENSIONS_H_

// Commands of a sandbox that this program serves.
//
//   sandbox.RegisterExtensions({{.name = "shout", .description = "makes letters large",
//                                .command = [](cordon::ExtensionCall& call) -> cordon::Result<int>
//                                {
//     for (;;) {
//       const auto piece = call.Read();
//       if (!piece) return std::unexpected(piece.error());
//       if (piece->empty()) return 0;
//       CORDON_TRY(call.Write(Upper(*piece)));
//     }
//   }}});

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon {

namespace client {
class Connection;
class ExtensionHost;
}  // namespace client

// How a command was called. It belongs to the handler's thread.
class ExtensionCall {
 public:
  [[nodiscard]] const std::vector<std::string>& args() const { return args_; }  // without the name
  [[nodiscard]] const std::map<std::string, std::string>& env() const { return env_; }
  [[nodiscard]] const std::string& cwd() const { return cwd_; }
  // The command has ended in the sandbox: nobody waits for the result, and Read and Write fail.
  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

  // Standard input, as much as there is and at least a byte; empty: the end. No more is read in the
  // sandbox than is asked for.
  [[nodiscard]] Result<std::string> Read();
  [[nodiscard]] Result<std::string> ReadAll();
  // Standard output and error. They return when the sandbox has room for all of it.
  [[nodiscard]] Status Write(std::string_view bytes);
  [[nodiscard]] Status WriteError(std::string_view bytes);

 private:
  friend class client::ExtensionHost;
  explicit ExtensionCall(client::Connection& connection) : connection_(connection) {}
  [[nodiscard]] Status WriteTo(const char* stream, std::string_view bytes);

  client::Connection& connection_;
  std::string sandbox_, id_;
  std::vector<std::string> args_;
  std::map<std::string, std::string> env_;
  std::string cwd_;
  std::stop_token stop_;
  bool ended_ = false;  // its input
};

// The exit status, 0 to 255. An error's message, or that of what it throws, is written to standard
// error, and the status is 1. Each call has a thread of its own, and may ask the sandbox. The
// end of the connection waits for calls that go on.
using ExtensionHandler = std::function<Result<int>(ExtensionCall&)>;

// Imported in the sandbox under the extension's name, with `_` for `-`, `.` and `+`.
struct PythonPackage {
  std::string version;
  std::string summary;
  std::map<std::string, std::string> files;  // by paths below the package, as "__init__.py"
};

struct Extension {
  std::string name;  // 1 to 64 letters, digits, `_`, `-`, `.` and `+`; none that the sandbox has
  std::string description;
  ExtensionHandler command;
  std::string usage;
  std::vector<std::string> examples;
  std::string category;
  std::optional<PythonPackage> python_package;
};

// One that somebody serves.
struct ExtensionInfo {
  std::string name;
  std::string description;
  std::string usage;
  std::vector<std::string> examples;
  std::string category;
};

}  // namespace cordon

#endif  // CORDON_EXTENSIONS_H_
