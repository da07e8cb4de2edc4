#include "rpc/message.h"

#include <exception>

#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

// A parser that is not recursive does not mind depth; what is later done with a value does.
constexpr int kMaxDepth = 32;

std::string Dump(const Json& message) {
  return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool IsTooDeep(std::string_view line) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

bool IsId(const Json& id) {
  return id.is_string() || id.is_number_integer() || id.is_null();
}

Parsed Refuse(int code, const char* message, Json id = nullptr) {
  return {std::nullopt, {code, message, {}}, std::move(id)};
}

}  // namespace

void LineReader::Add(std::string_view bytes) {
  bytes_.append(bytes);
}

std::optional<LineReader::Line> LineReader::Next() {
  for (;;) {
    const size_t end = bytes_.find('\n', std::max(at_, seen_));
    if (end == std::string::npos) {
      bytes_.erase(0, at_);
      at_ = 0;
      seen_ = bytes_.size();
      if (bytes_.size() <= most_) return std::nullopt;
      bytes_.clear();
      seen_ = 0;
      if (std::exchange(skips_, true)) return std::nullopt;
      return Line{true, {}};
    }
    Line line = {end - at_ > most_, {}};
    if (!line.is_too_long) line.text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    seen_ = at_;
    if (std::exchange(skips_, false)) continue;  // the end of one that was refused
    if (line.is_too_long || line.text.find_first_not_of(" \t\r") != std::string::npos) return line;
  }
}

Parsed ParseRequest(std::string_view line) {
  if (IsTooDeep(line)) return Refuse(kInvalidRequest, "Request too deep");
  const Json message = Json::parse(line, nullptr, false);
  if (message.is_discarded()) return Refuse(kParseError, "Parse error");
  if (!message.is_object()) return Refuse(kInvalidRequest, "Invalid request");
  Request request;
  const auto id = message.find("id");
  request.is_notification = id == message.end();
  if (id != message.end()) {
    if (!IsId(*id)) return Refuse(kInvalidRequest, "Invalid request: id");
    request.id = *id;
  }
  const auto version = message.find("jsonrpc");
  if (version == message.end() || *version != "2.0") {
    return Refuse(kInvalidRequest, "Invalid request: jsonrpc must be \"2.0\"", request.id);
  }
  const auto method = message.find("method");
  if (method == message.end() || !method->is_string()) {
    return Refuse(kInvalidRequest, "Invalid request: method", request.id);
  }
  request.method = method->get<std::string>();
  const auto params = message.find("params");
  if (params != message.end()) {
    if (!params->is_object()) {
      return Refuse(kInvalidParams, "Params must be an object", request.id);
    }
    request.params = *params;
  }
  Json read_id = request.id;
  return {std::move(request), {}, std::move(read_id)};
}

std::string ResultLine(const Json& id, const Json& result) {
  return Dump({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string ErrorLine(const Json& id, const RpcError& error) {
  Json body = {{"code", error.code}, {"message", error.message}};
  if (!error.error_name.empty()) body["data"] = {{"errno", error.error_name}};
  return Dump({{"jsonrpc", "2.0"}, {"id", id}, {"error", body}});
}

std::string NotificationLine(const char* method, const Json& params) {
  return Dump({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

void PutBytes(Json& object, const std::string& name, const std::string& bytes) {
  object[name] = bytes;
  if (!IsUtf8(bytes)) object[name + "Base64"] = EncodeBase64(bytes);
}

}  // namespace cordon::rpc
