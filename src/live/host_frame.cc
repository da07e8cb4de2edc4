#include "live/host_frame.h"

#include <algorithm>
#include <cstring>

#include "live/frame.h"

namespace cordon::live {
namespace {

struct Header {
  uint32_t type;
  uint32_t bytes;
};

constexpr size_t kLongestCommandName = 64;

}  // namespace

std::string EncodeHostFrame(HostSays type, std::string_view payload) {
  const Header header = {static_cast<uint32_t>(type), static_cast<uint32_t>(payload.size())};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  return bytes.append(payload);
}

std::string EncodeHostFrame(HostSays type, uint32_t number) {
  return EncodeHostFrame(type, {reinterpret_cast<const char*>(&number), sizeof number});
}

const char* HostFrameReader::Objection(GuestSays type, uint32_t bytes) const {
  switch (type) {
    case GuestSays::kCall:
      if (is_called_) return "a second call";
      return bytes > kMaxHostCallBytes ? "arguments and variables of more than 1 MiB" : nullptr;
    case GuestSays::kInput:
      if (bytes == 0 || bytes > wanted_) return "input that nobody wanted";
      return is_called_ ? nullptr : "input before the call";
    case GuestSays::kInputEnd:
      if (bytes != 0 || wanted_ == 0) return "an end of input that nobody asked for";
      return is_called_ ? nullptr : "input before the call";
  }
  return "a frame that does not exist";
}

Result<std::optional<HostFrame>> HostFrameReader::Next() {
  if (broken_ != nullptr) return Fail(ErrorCode::kCorrupt, broken_);
  Header header = {};
  if (bytes_.size() < sizeof header) return std::nullopt;
  memcpy(&header, bytes_.data(), sizeof header);
  const auto type = static_cast<GuestSays>(header.type);
  broken_ = Objection(type, header.bytes);
  if (broken_ != nullptr) {
    bytes_.clear();
    return Fail(ErrorCode::kCorrupt, broken_);
  }
  if (bytes_.size() - sizeof header < header.bytes) return std::nullopt;
  HostFrame frame = {type, bytes_.substr(sizeof header, header.bytes)};
  bytes_.erase(0, sizeof header + header.bytes);
  is_called_ = true;
  wanted_ = 0;
  return frame;
}

std::optional<HostCallStart> ParseHostCall(std::string_view payload) {
  PayloadReader reader(payload);
  uint32_t arguments = 0;
  uint32_t variables = 0;
  HostCallStart start;
  if (!reader.Take(&arguments) || !reader.Take(&variables) || !reader.TakeString(&start.name) ||
      !reader.TakeString(&start.directory)) {
    return std::nullopt;
  }
  const auto take = [&reader](uint32_t count, std::vector<std::string>* list) {
    // Each has a zero: a count that is too large ends with the payload.
    for (uint32_t i = 0; i < count; ++i) {
      std::string text;
      if (!reader.TakeString(&text)) return false;
      list->push_back(std::move(text));
    }
    return true;
  };
  if (!take(arguments, &start.arguments) || !take(variables, &start.variables) ||
      !reader.rest().empty()) {
    return std::nullopt;
  }
  return start;
}

bool IsCommandName(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kLongestCommandName && is_alphanumeric(name[0]) &&
         std::ranges::all_of(name, [&](char c) {
           return is_alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == '+';
         });
}

}  // namespace cordon::live
