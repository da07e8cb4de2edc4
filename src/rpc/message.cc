#include "rpc/message.h"

#include <exception>

#include "base/json_bounds.h"
#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

// A parser that is not recursive does not mind depth; what is later done with a value does.
constexpr uint32_t kMaxDepth = 32;

constexpr size_t kLengthBytes = 4;
// Of bytes: those that PutData put.
constexpr uint64_t kNoText = 1;

std::string TextOf(const Json::binary_t& bytes) {
  return {bytes.begin(), bytes.end()};
}

// Bytes become members that JSON has.
void Expand(Json& value) {
  std::vector<std::string> names;
  for (auto& [name, member] : value.items()) {
    if (member.is_structured()) Expand(member);
    if (member.is_binary()) names.push_back(name);
  }
  if (!value.is_object()) return;
  for (const std::string& name : names) {
    const Json::binary_t bytes = std::move(value[name].get_binary());
    value.erase(name);
    if (bytes.has_subtype() && bytes.subtype() == kNoText) {
      value[name + "Base64"] = EncodeBase64(TextOf(bytes));
    } else {
      PutText(value, name, TextOf(bytes));
    }
  }
}

// The mark is ours alone: packed, it would be an extension type.
void ClearMarks(Json& value) {
  if (value.is_binary()) return value.get_binary().clear_subtype();
  if (!value.is_structured()) return;
  for (auto& member : value) ClearMarks(member);
}

// Says whether a message nests too deeply, before it is built by functions that call themselves.
class Depth final : public nlohmann::json_sax<Json> {
 public:
  bool is_too_deep() const { return is_too_deep_; }
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(size_t /*count*/) override { return Enter(); }
  bool key(string_t& /*name*/) override { return true; }
  bool end_object() override { return Leave(); }
  bool start_array(size_t /*count*/) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool Enter() {
    is_too_deep_ = ++depth_ > kMaxDepth;
    return !is_too_deep_;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  uint32_t depth_ = 0;
  bool is_too_deep_ = false;
};

bool IsId(const Json& id) {
  return id.is_string() || id.is_number_integer() || id.is_null();
}

Parsed Refuse(int code, const char* message, Json id = nullptr) {
  return {std::nullopt, std::nullopt, {code, message, {}}, std::move(id)};
}

// Of a request that we made: its id is one of ours, which are text.
std::optional<Reply> ParseReply(const Json& message) {
  const auto error = message.find("error");
  const auto result = message.find("result");
  const auto id = message.find("id");
  if (message.contains("method") || id == message.end() || !id->is_string()) return std::nullopt;
  if (error == message.end() && result == message.end()) return std::nullopt;
  Reply reply = {id->get<std::string>(), nullptr, std::nullopt};
  if (error == message.end()) {
    reply.result = *result;
    return reply;
  }
  const auto text = error->is_object() ? error->find("message") : error->end();
  const bool is_text = text != error->end() && text->is_string();
  reply.error = is_text ? text->get<std::string>() : "an error without a message";
  return reply;
}

}  // namespace

void LineReader::Add(std::string_view bytes) {
  bytes_.append(bytes);
}

std::optional<Arrived> LineReader::Next() {
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
      return Arrived{true, {}};
    }
    Arrived line = {end - at_ > most_, {}};
    if (!line.is_too_long) line.text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    seen_ = at_;
    if (std::exchange(skips_, false)) continue;  // the end of one that was refused
    if (line.is_too_long || line.text.find_first_not_of(" \t\r") != std::string::npos) return line;
  }
}

void PackReader::Add(std::string_view bytes) {
  const size_t skipped = std::min(skip_, bytes.size());
  skip_ -= skipped;
  bytes_.append(bytes.substr(skipped));
}

std::optional<Arrived> PackReader::Next() {
  if (bytes_.size() < kLengthBytes) return std::nullopt;
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes_[i]);
  }
  const size_t end = kLengthBytes + length;
  if (length > most_) {
    skip_ = end - std::min(end, bytes_.size());
    bytes_.erase(0, end);
    return Arrived{true, {}};
  }
  if (bytes_.size() < end) return std::nullopt;
  Arrived arrived = {false, bytes_.substr(kLengthBytes, length)};
  bytes_.erase(0, end);
  return arrived;
}

Parsed ParseRequest(std::string_view text, Form form) {
  Json message;
  if (form == Form::kLines) {
    if (!IsWithin(text, {.levels = kMaxDepth})) return Refuse(kInvalidRequest, "Request too deep");
    message = Json::parse(text, nullptr, false);
  } else {
    Depth depth;
    (void)Json::sax_parse(text, &depth, Json::input_format_t::msgpack);
    if (depth.is_too_deep()) return Refuse(kInvalidRequest, "Request too deep");
    message = Json::from_msgpack(text, true, false);
  }
  if (message.is_discarded()) return Refuse(kParseError, "Parse error");
  if (!message.is_object()) return Refuse(kInvalidRequest, "Invalid request");
  if (std::optional<Reply> reply = ParseReply(message)) {
    return {std::nullopt, std::move(reply), {}, nullptr};
  }
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
  return {std::move(request), std::nullopt, {}, std::move(read_id)};
}

Json ResultMessage(const Json& id, const Json& result) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", result}};
}

Json ErrorObject(const RpcError& error) {
  Json body = {{"code", error.code}, {"message", error.message}};
  if (!error.error_name.empty()) body["data"] = {{"errno", error.error_name}};
  return body;
}

Json ErrorMessage(const Json& id, const RpcError& error) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"error", ErrorObject(error)}};
}

Json NotificationMessage(const char* method, const Json& params) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", params}};
}

Json RequestMessage(const std::string& id, const char* method, const Json& params) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
}

std::string Encode(Json message, Form form) {
  if (form == Form::kLines) {
    Expand(message);
    return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  ClearMarks(message);
  std::string text(kLengthBytes, '\0');
  Json::to_msgpack(message, text);
  const size_t length = text.size() - kLengthBytes;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    text[i] = static_cast<char>(length >> 8 * (kLengthBytes - 1 - i));
  }
  return text;
}

void PutBytes(Json& object, const std::string& name, std::string_view bytes) {
  object[name] = Json::binary({bytes.begin(), bytes.end()});
}

void PutData(Json& object, const std::string& name, std::string_view bytes) {
  object[name] = Json::binary({bytes.begin(), bytes.end()}, kNoText);
}

Result<std::string> TakeBytes(const Json& object, const std::string& name) {
  const auto coded = object.find(name + "Base64");
  const auto plain = object.find(name);
  if (coded != object.end() && coded->is_string()) {
    std::optional<std::string> bytes = DecodeBase64(coded->get<std::string>());
    if (!bytes) return Fail(ErrorCode::kInvalid, "is no base64: " + name + "Base64");
    return std::move(*bytes);
  }
  if (coded != object.end() && !coded->is_null()) {
    return Fail(ErrorCode::kInvalid, "must be a string: " + name + "Base64");
  }
  if (plain == object.end() || plain->is_null()) return std::string();
  if (plain->is_binary()) return TextOf(plain->get_binary());
  if (!plain->is_string()) return Fail(ErrorCode::kInvalid, "must be a string: " + name);
  return plain->get<std::string>();
}

std::string ValidText(std::string_view bytes) {
  if (IsUtf8(bytes)) return std::string(bytes);
  return Json::parse(Json(bytes).dump(-1, ' ', false, Json::error_handler_t::replace))
      .get<std::string>();
}

void PutText(Json& object, const std::string& name, const std::string& bytes) {
  object[name] = bytes;
  if (!IsUtf8(bytes)) object[name + "Base64"] = EncodeBase64(bytes);
}

}  // namespace cordon::rpc
