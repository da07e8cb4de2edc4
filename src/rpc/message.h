#ifndef CORDON_RPC_MESSAGE_H_
#define CORDON_RPC_MESSAGE_H_

// JSON-RPC 2.0, a message a line, or in MessagePack (github.com/msgpack/msgpack spec) behind its
// length. What clients send is read here and nowhere else.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

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

enum class Form {
  kLines,   // JSON, which has no zero byte, up to a newline
  kPacked,  // four bytes, the length, highest first, and a MessagePack map
};

// A message that arrived.
struct Arrived {
  bool is_too_long = false;  // the rest of it is skipped
  std::string text;
};

// Takes lines out of what arrived.
class LineReader {
 public:
  explicit LineReader(size_t most_bytes) : most_(most_bytes) {}
  void SetMost(size_t most_bytes) { most_ = most_bytes; }
  void Add(std::string_view bytes);
  [[nodiscard]] std::optional<Arrived> Next();

 private:
  std::string bytes_;
  size_t at_ = 0;
  size_t seen_ = 0;
  size_t most_;
  bool skips_ = false;
};

// Takes what stands behind a length out of what arrived.
class PackReader {
 public:
  explicit PackReader(size_t most_bytes) : most_(most_bytes) {}
  void SetMost(size_t most_bytes) { most_ = most_bytes; }
  void Add(std::string_view bytes);
  [[nodiscard]] std::optional<Arrived> Next();

 private:
  std::string bytes_;
  size_t most_;
  size_t skip_ = 0;
};

// What a client answers to a request of ours.
struct Reply {
  std::string id;
  Json result;
  std::optional<std::string> error;
};

// A request, a reply, or the error that is the answer, with the id if one could be read.
struct Parsed {
  std::optional<Request> request;
  std::optional<Reply> reply;
  RpcError error;
  Json id;
};
[[nodiscard]] Parsed ParseRequest(std::string_view text, Form form = Form::kLines);

[[nodiscard]] Json ResultMessage(const Json& id, const Json& result);
// The member `error` of a message.
[[nodiscard]] Json ErrorObject(const RpcError& error);
[[nodiscard]] Json ErrorMessage(const Json& id, const RpcError& error);
[[nodiscard]] Json NotificationMessage(const char* method, const Json& params);
[[nodiscard]] Json RequestMessage(const std::string& id, const char* method, const Json& params);

// With what ends or precedes it. In a line, text that is no UTF-8 is made so.
[[nodiscard]] std::string Encode(Json message, Form form);

// Bytes of a message. Packed they are that. In a line they are two members: `name` and, when they
// are no UTF-8, `name`Base64, which is exact.
void PutBytes(Json& object, const std::string& name, std::string_view bytes);
// The same for what is no text in the first place: in a line, `name`Base64 alone.
void PutData(Json& object, const std::string& name, std::string_view bytes);
// Bytes that a client gave: `name`, text or bytes, or `name`Base64; none when it has neither. An
// error says what is wrong with them.
[[nodiscard]] Result<std::string> TakeBytes(const Json& object, const std::string& name);
// What is no UTF-8 replaced.
[[nodiscard]] std::string ValidText(std::string_view bytes);
// Both members at once, for JSON that is kept.
void PutText(Json& object, const std::string& name, const std::string& bytes);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_MESSAGE_H_
