#include "shadow/record.h"

#include <charconv>
#include <span>

#include "base/sha256.h"

namespace cordon::shadow {
namespace {

constexpr size_t kDigestDigits = 64;

std::string DigestOf(std::string_view bytes) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(bytes)));
  return Sha256::Hex(hash.Finish());
}

}  // namespace

void RecordWriter::Text(std::string_view text) {
  bytes_ += std::to_string(text.size());
  bytes_ += ':';
  bytes_ += text;
}

void RecordWriter::Number(uint64_t number) {
  Text(std::to_string(number));
}

std::string RecordWriter::Finish() {
  return bytes_ + DigestOf(bytes_);
}

RecordReader::RecordReader(std::string_view bytes, std::string_view kind) {
  if (bytes.size() < kDigestDigits) {
    is_good_ = false;
    return;
  }
  rest_ = bytes.substr(0, bytes.size() - kDigestDigits);
  if (DigestOf(rest_) != bytes.substr(rest_.size())) is_good_ = false;
  if (Text() != kind) is_good_ = false;
}

std::string_view RecordReader::Text() {
  if (!is_good_) return {};
  size_t size = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
  const auto digits = static_cast<size_t>(end - rest_.data());
  if (error != std::errc() || digits >= rest_.size() || *end != ':' ||
      size > rest_.size() - digits - 1) {
    is_good_ = false;
    return {};
  }
  const std::string_view text = rest_.substr(digits + 1, size);
  rest_.remove_prefix(digits + 1 + size);
  return text;
}

uint64_t RecordReader::Number() {
  const std::string_view text = Text();
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    is_good_ = false;
    return 0;
  }
  return number;
}

size_t RecordReader::Count() {
  const uint64_t count = Number();
  if (count <= rest_.size() / 2) return count;
  is_good_ = false;
  return 0;
}

uint32_t RecordReader::Choice(uint32_t last) {
  const uint64_t number = Number();
  if (number <= last) return static_cast<uint32_t>(number);
  is_good_ = false;
  return 0;
}

Status RecordReader::Finish(const std::string& file) const {
  if (is_good_ && rest_.empty()) return {};
  return Fail(ErrorCode::kCorrupt, "damaged, or of another version of Cordon", file);
}

}  // namespace cordon::shadow
