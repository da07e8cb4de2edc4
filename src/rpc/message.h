#ifndef CORDON_RPC_MESSAGE_H_
#define CORDON_RPC_MESSAGE_H_

// JSON-RPC 2.0, one message a line. What clients send is read here and nowhere else.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace cordon::rpc {

using Json = nlohmann::json;

enum ErrorNumber : int {
  kParseError = -32700,
  kInvalidRequest = -32600,
  kMethodNotFound = -32601,
  kInvalidParams = -32602,
  kSandboxError = 1,
};

struct RpcError {
  int code = kInternal;
  std::string message;
  std::string error_name;  // "ENOENT", in data.errno; may be empty

  static constexpr int kInternal = -32603;
};

struct Request {
  Json id;  // null for a notification, which nobody answers
  bool is_notification = false;
  std::string method;
  Json params = Json::object();
};

// Takes lines out of what arrived.
class LineReader {
 public:
  explicit LineReader(size_t most_bytes) : most_(most_bytes) {}
  void Add(std::string_view bytes);
  struct Line {
    bool is_too_long = false;  // the rest of it is skipped
    std::string text;
  };
  [[nodiscard]] std::optional<Line> Next();

 private:
  std::string bytes_;
  size_t at_ = 0;
  size_t seen_ = 0;
  size_t most_;
  bool skips_ = false;
};

// A request, or the error that is the answer, with the id if one could be read.
struct Parsed {
  std::optional<Request> request;
  RpcError error;
  Json id;
};
[[nodiscard]] Parsed ParseRequest(std::string_view line);

// Lines with their end. Text that is no UTF-8 is made so.
[[nodiscard]] std::string ResultLine(const Json& id, const Json& result);
[[nodiscard]] std::string ErrorLine(const Json& id, const RpcError& error);
[[nodiscard]] std::string NotificationLine(const char* method, const Json& params);

// Bytes as two members: `name` and, when they are no UTF-8, `name`Base64, which is exact.
void PutBytes(Json& object, const std::string& name, const std::string& bytes);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_MESSAGE_H_
