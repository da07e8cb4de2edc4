#include "net/http_watch.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "net/dns_message.h"

namespace cordon::net {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

bool IsTokenLetter(char letter) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || kOthers.contains(letter);
}

// Nothing that ends a line for somebody, or a text.
bool IsPlain(std::string_view text) {
  return std::ranges::all_of(text, [](char letter) {
    return (static_cast<uint8_t>(letter) >= ' ' && letter != '\x7f') || letter == '\t';
  });
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> ReadNumber(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  constexpr uint64_t kMost = uint64_t{1} << 60U;
  if (error != std::errc() || end != text.data() + text.size() || number > kMost) {
    return std::nullopt;
  }
  return number;
}

// "name" or "name:port"; empty if it is neither.
std::string HostOf(std::string_view authority) {
  const size_t colon = authority.find(':');
  if (colon != std::string_view::npos && !ReadNumber(authority.substr(colon + 1), 10)) return {};
  return CanonicalHostName(authority.substr(0, colon));
}

struct Fields {
  std::optional<std::string_view> host;
  std::optional<std::string_view> length;
  std::optional<std::string_view> encoding;
  bool has_upgrade = false;
  bool has_twice = false;
};

void TakeField(std::optional<std::string_view>* field, std::string_view value, bool* has_twice) {
  if (*field) *has_twice = true;
  *field = value;
}

// False if one of the lines is none.
bool ReadFields(std::string_view lines, Fields* fields) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find(kLineEnd));
    lines.remove_prefix(std::min(lines.size(), line.size() + kLineEnd.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsHttpToken(line.substr(0, colon)) || !IsPlain(line)) {
      return false;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = Trim(line.substr(colon + 1));
    if (EqualsIgnoringCase(name, "host")) TakeField(&fields->host, value, &fields->has_twice);
    if (EqualsIgnoringCase(name, "content-length")) {
      TakeField(&fields->length, value, &fields->has_twice);
    }
    if (EqualsIgnoringCase(name, "transfer-encoding")) {
      TakeField(&fields->encoding, value, &fields->has_twice);
    }
    if (EqualsIgnoringCase(name, "upgrade")) fields->has_upgrade = true;
  }
  return true;
}

}  // namespace

bool IsHttpToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsTokenLetter);
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
}

size_t HttpWatch::Pass(std::string_view bytes) {
  size_t passed = 0;
  while (error_.empty() && passed < bytes.size()) {
    const std::string_view rest = bytes.substr(passed);
    size_t taken = 0;
    switch (part_) {
      case Part::kHead:
        taken = TakeHead(rest);
        break;
      case Part::kBody:
        taken = TakeBody(rest);
        break;
      case Part::kChunkSize:
        taken = TakeChunkSize(rest);
        break;
      case Part::kChunkEnd:
        taken = TakeChunkEnd(rest);
        break;
      case Part::kTrailer:
        taken = TakeTrailer(rest);
        break;
    }
    if (taken == 0) break;
    passed += taken;
  }
  return error_.empty() ? passed : 0;
}

size_t HttpWatch::TakeHead(std::string_view bytes) {
  // Known early, so that what is no HTTP does not wait for an end that never comes.
  const size_t method_end = std::min(bytes.find(' '), bytes.size());
  constexpr size_t kMaxMethod = 32;
  if (method_end > kMaxMethod || !std::ranges::all_of(bytes.substr(0, method_end), IsTokenLetter) ||
      bytes.starts_with(' ')) {
    return Wrong("neither TLS nor HTTP");
  }
  std::string ignored;
  const size_t line_end = bytes.find(kLineEnd);
  if (line_end != std::string_view::npos && !ReadTarget(bytes.substr(0, line_end), &ignored)) {
    return 0;
  }
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || end > kMaxHead) {
    return bytes.size() > kMaxHead ? Wrong("a request that does not end") : 0;
  }
  // With the end of its last line.
  if (!ReadHead(bytes.substr(0, end + kLineEnd.size()))) return 0;
  return end + 2 * kLineEnd.size();
}

bool HttpWatch::ReadTarget(std::string_view line, std::string* named_by_target) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !IsPlain(line)) {
    return Broken("a request line that is none");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (method == "PRI") return Broken("HTTP/2 without TLS");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Broken("an unknown version of HTTP");
  if (method == "CONNECT" || target.empty() ||
      target.find_first_of(" \t") != std::string_view::npos)
    return Broken("a request to a proxy");
  if (target.starts_with('/') || target == "*") return true;
  constexpr std::string_view kScheme = "http://";
  if (!target.starts_with(kScheme)) return Broken("a request to a proxy");
  const std::string_view rest = target.substr(kScheme.size());
  *named_by_target = HostOf(rest.substr(0, rest.find_first_of("/?#")));
  return !named_by_target->empty() || Broken("a request for what is no host");
}

bool HttpWatch::ReadHead(std::string_view head) {
  const std::string_view line = head.substr(0, head.find(kLineEnd));
  std::string named_by_target;
  if (!ReadTarget(line, &named_by_target)) return false;
  Fields fields;
  if (!ReadFields(head.substr(line.size() + kLineEnd.size()), &fields)) {
    return Broken("a header line that is none");
  }
  if (fields.has_twice) return Broken("a header that may be there once is there twice");
  if (!fields.host) return Broken("a request that names no host");
  host_ = HostOf(*fields.host);
  if (host_.empty()) return Broken("a request for what is no host");
  if (!named_by_target.empty() && named_by_target != host_) {
    return Broken("a request that names two hosts");
  }
  if (!may_ask_(host_)) return Broken("a request for another host");
  // After it nothing could be followed.
  if (fields.has_upgrade) return Broken("an upgrade to another protocol");
  is_chunked_ = fields.encoding.has_value();
  if (is_chunked_ && (!EqualsIgnoringCase(*fields.encoding, "chunked") || fields.length ||
                      line.ends_with("1.0"))) {
    return Broken("a body that ends in more than one place");
  }
  left_ = 0;
  if (fields.length) {
    const auto length = ReadNumber(*fields.length, 10);
    if (!length) return Broken("a body of unknown length");
    left_ = *length;
  }
  part_ = is_chunked_ ? Part::kChunkSize : left_ > 0 ? Part::kBody : Part::kHead;
  return true;
}

size_t HttpWatch::TakeBody(std::string_view bytes) {
  const auto taken = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  left_ -= taken;
  if (left_ == 0) part_ = is_chunked_ ? Part::kChunkEnd : Part::kHead;
  return taken;
}

size_t HttpWatch::TakeChunkSize(std::string_view bytes) {
  constexpr size_t kMaxLine = 1024;
  const size_t end = bytes.find(kLineEnd);
  if (end == std::string_view::npos || end > kMaxLine) {
    return bytes.size() > kMaxLine ? Wrong("a chunk without its length") : 0;
  }
  const std::string_view line = bytes.substr(0, end);
  const std::string_view size = line.substr(0, line.find(';'));
  const auto length = ReadNumber(size, 16);
  if (!length || !IsPlain(line)) return Wrong("a chunk without its length");
  left_ = *length;
  part_ = left_ > 0 ? Part::kBody : Part::kTrailer;
  return end + kLineEnd.size();
}

size_t HttpWatch::TakeChunkEnd(std::string_view bytes) {
  if (bytes.size() < kLineEnd.size()) return 0;
  if (!bytes.starts_with(kLineEnd)) return Wrong("a chunk longer than it says");
  part_ = Part::kChunkSize;
  return kLineEnd.size();
}

size_t HttpWatch::TakeTrailer(std::string_view bytes) {
  const size_t end = bytes.find(kLineEnd);
  if (end == std::string_view::npos || end > kMaxHead) {
    return bytes.size() > kMaxHead ? Wrong("a trailer that does not end") : 0;
  }
  Fields fields;
  if (!ReadFields(bytes.substr(0, end), &fields)) return Wrong("a trailer that is none");
  if (end == 0) part_ = Part::kHead;
  return end + kLineEnd.size();
}

}  // namespace cordon::net
