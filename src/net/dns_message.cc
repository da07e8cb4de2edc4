#include "net/dns_message.h"

#include <algorithm>
#include <limits>

namespace cordon::net {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxName = 253;  // as text
constexpr size_t kMaxLabel = 63;
constexpr uint16_t kClassInternet = 1;
constexpr uint16_t kTypeOption = 41;
constexpr uint16_t kIsResponse = 0x8000;
constexpr uint16_t kOperation = 0x7800;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kRecursionAvailable = 0x0080;
constexpr uint16_t kOurDatagramSize = 1232;
constexpr uint16_t kOptionExtendedError = 15;
constexpr uint16_t kProhibited = 18;
constexpr int kMaxAliases = 16;
constexpr int kMaxRecords = 512;

bool IsHostLetter(uint8_t letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' ||
         letter == '_';
}

uint8_t Lower(uint8_t letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<uint8_t>(letter + ('a' - 'A')) : letter;
}

// Reads big-endian; after the end everything is zero and `ok` is false.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t at() const { return at_; }
  [[nodiscard]] size_t left() const { return bytes_.size() - at_; }

  uint8_t Byte() {
    const auto one = Bytes(1);
    return one.empty() ? uint8_t{0} : one[0];
  }
  uint16_t Short() {
    const unsigned high = Byte();
    return static_cast<uint16_t>((high << 8U) | Byte());
  }
  uint32_t Long() {
    const uint32_t high = Short();
    return (high << 16U) | Short();
  }
  std::span<const uint8_t> Bytes(size_t size) {
    if (!ok_ || size > left()) {
      ok_ = false;
      return {};
    }
    const auto part = bytes_.subspan(at_, size);
    at_ += size;
    return part;
  }
  std::string Name();

 private:
  bool AppendLabel(std::span<const uint8_t> label, std::string* name);

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

bool Reader::AppendLabel(std::span<const uint8_t> label, std::string* name) {
  if (!name->empty()) *name += '.';
  for (const uint8_t byte : label) {
    const uint8_t letter = Lower(byte);
    if (IsHostLetter(letter)) {
      *name += static_cast<char>(letter);
    } else {
      *name += '\\';
      *name += static_cast<char>('0' + letter / 100);
      *name += static_cast<char>('0' + letter / 10 % 10);
      *name += static_cast<char>('0' + letter % 10);
    }
  }
  return name->size() <= 4 * kMaxName;
}

std::string Reader::Name() {
  std::string name;
  size_t wire_size = 0;
  // Where the name goes on after the first pointer; a pointer leads backwards only, so this ends.
  std::optional<size_t> end;
  size_t lowest = at_;
  for (;;) {
    const uint8_t size = Byte();
    if (!ok_ || size == 0) break;
    if ((size & 0xc0U) == 0xc0U) {
      const size_t target = ((size & 0x3fU) << 8U) | Byte();
      if (!ok_ || target >= lowest) {
        ok_ = false;
        break;
      }
      if (!end) end = at_;
      at_ = lowest = target;
      continue;
    }
    wire_size += size + size_t{1};
    const auto label = Bytes(size);
    if (!ok_ || size > kMaxLabel || wire_size > kMaxName + 1 || !AppendLabel(label, &name)) {
      ok_ = false;
      break;
    }
  }
  if (end) at_ = *end;
  return ok_ ? name : std::string();
}

struct Record {
  std::string owner;
  uint16_t type = 0;
  uint16_t record_class = 0;
  uint32_t ttl = 0;
  size_t data_at = 0;
  std::span<const uint8_t> data;
};

Record ReadRecord(Reader* reader) {
  Record record;
  record.owner = reader->Name();
  record.type = reader->Short();
  record.record_class = reader->Short();
  record.ttl = reader->Long();
  const uint16_t size = reader->Short();
  record.data_at = reader->at();
  record.data = reader->Bytes(size);
  return record;
}

class Writer {
 public:
  void Byte(unsigned value) { bytes_.push_back(static_cast<uint8_t>(value)); }
  void Short(unsigned value) {
    Byte(value >> 8U);
    Byte(value & 0xffU);
  }
  void Long(uint32_t value) {
    Short(value >> 16U);
    Short(value & 0xffffU);
  }
  void Bytes(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Header(uint16_t id, unsigned flags, unsigned questions, unsigned answers, unsigned more) {
    Short(id);
    Short(flags);
    Short(questions);
    Short(answers);
    Short(0);
    Short(more);
  }
  void Option(std::span<const uint8_t> options) {
    Byte(0);
    Short(kTypeOption);
    Short(kOurDatagramSize);
    Long(0);
    Short(static_cast<unsigned>(options.size()));
    Bytes(options);
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

std::vector<uint8_t> ExtendedError(const std::string& text) {
  constexpr size_t kMaxText = 200;
  const std::string_view shown = std::string_view(text).substr(0, kMaxText);
  Writer writer;
  writer.Short(kOptionExtendedError);
  writer.Short(static_cast<unsigned>(2 + shown.size()));
  writer.Short(kProhibited);
  writer.Bytes({reinterpret_cast<const uint8_t*>(shown.data()), shown.size()});
  return writer.Take();
}

std::span<const uint8_t> DataOf(const Address& address) {
  return std::span(address.bytes).subspan(address.is_ipv4() ? 12 : 0);
}

std::optional<Address> AddressOf(const Record& record, DnsType type) {
  if (record.record_class != kClassInternet || record.type != static_cast<uint16_t>(type)) {
    return std::nullopt;
  }
  Address address;
  if (type == DnsType::kA && record.data.size() == 4) {
    return Address::Ipv4({record.data[0], record.data[1], record.data[2], record.data[3]});
  }
  if (type != DnsType::kAaaa || record.data.size() != address.bytes.size()) return std::nullopt;
  std::ranges::copy(record.data, address.bytes.begin());
  return address;
}

}  // namespace

std::string CanonicalHostName(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string name;
  if (text.empty() || text.size() > kMaxName) return name;
  size_t label = 0;
  for (const char letter : text) {
    const uint8_t lower = Lower(static_cast<uint8_t>(letter));
    const bool is_dot = lower == '.';
    label = is_dot ? 0 : label + 1;
    if ((!is_dot && !IsHostLetter(lower)) || label > kMaxLabel ||
        (is_dot && (name.empty() || name.back() == '.'))) {
      return {};
    }
    name += static_cast<char>(lower);
  }
  return name;
}

std::optional<DnsQuery> ParseDnsQuery(std::span<const uint8_t> bytes) {
  Reader reader(bytes);
  DnsQuery query;
  query.id = reader.Short();
  const uint16_t flags = reader.Short();
  const uint16_t questions = reader.Short();
  const uint16_t answers = reader.Short();
  const uint16_t authorities = reader.Short();
  const uint16_t more = reader.Short();
  if (!reader.ok() || (flags & (kIsResponse | kOperation)) != 0 || questions != 1 || answers != 0 ||
      authorities != 0) {
    return std::nullopt;
  }
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  query.name = reader.Name();
  const uint16_t type = reader.Short();
  const uint16_t question_class = reader.Short();
  if (!reader.ok() || question_class != kClassInternet) return std::nullopt;
  query.type = static_cast<DnsType>(type);  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange)
  const auto question = bytes.subspan(kHeaderSize, reader.at() - kHeaderSize);
  query.question.assign(question.begin(), question.end());
  for (int i = 0; i < more && i < 4; ++i) {
    const Record record = ReadRecord(&reader);
    if (!reader.ok()) return std::nullopt;
    if (record.type != kTypeOption) continue;
    query.has_edns = true;
    query.answer_size = std::clamp<uint16_t>(record.record_class, 512, kOurDatagramSize);
  }
  return query;
}

std::vector<uint8_t> WriteDnsAnswer(const DnsQuery& query, const DnsAnswer& answer,
                                    size_t size_limit) {
  constexpr size_t kRecordHeader = 12;
  std::vector<uint8_t> options;
  if (query.has_edns && !answer.refused_because.empty()) {
    options = ExtendedError(answer.refused_because);
  }
  constexpr size_t kOptionHeader = 11;
  size_t size =
      kHeaderSize + query.question.size() + (query.has_edns ? kOptionHeader + options.size() : 0);
  size_t count = 0;
  for (const Address& address : answer.addresses) {
    size += kRecordHeader + DataOf(address).size();
    if (size > size_limit) break;
    ++count;
  }
  unsigned flags = kIsResponse | kRecursionAvailable | static_cast<unsigned>(answer.code);
  if (query.recursion_desired) flags |= kRecursionDesired;
  if (count < answer.addresses.size()) flags |= kTruncated;
  Writer writer;
  writer.Header(query.id, flags, 1, static_cast<unsigned>(count), query.has_edns ? 1 : 0);
  writer.Bytes(query.question);
  for (const Address& address : std::span(answer.addresses).first(count)) {
    writer.Short(0xc000U | kHeaderSize);  // the name of the question
    writer.Short(static_cast<unsigned>(address.is_ipv4() ? DnsType::kA : DnsType::kAaaa));
    writer.Short(kClassInternet);
    writer.Long(answer.ttl_seconds);
    writer.Short(static_cast<unsigned>(DataOf(address).size()));
    writer.Bytes(DataOf(address));
  }
  if (query.has_edns) writer.Option(options);
  return writer.Take();
}

std::vector<uint8_t> WriteDnsFormatError(std::span<const uint8_t> query) {
  // An answer is not answered.
  if (query.size() < kHeaderSize || (query[2] & 0x80U) != 0) return {};
  Writer writer;
  writer.Header(static_cast<uint16_t>((query[0] << 8U) | query[1]),
                kIsResponse | static_cast<unsigned>(DnsCode::kFormatError), 0, 0, 0);
  return writer.Take();
}

std::vector<uint8_t> WriteDnsQuestion(uint16_t id, const std::string& name, DnsType type) {
  Writer writer;
  writer.Header(id, kRecursionDesired, 1, 0, 1);
  std::string_view rest = name;
  while (!rest.empty()) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    writer.Byte(static_cast<unsigned>(label.size()));
    writer.Bytes({reinterpret_cast<const uint8_t*>(label.data()), label.size()});
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
  }
  writer.Byte(0);
  writer.Short(static_cast<unsigned>(type));
  writer.Short(kClassInternet);
  writer.Option({});
  return writer.Take();
}

std::optional<DnsResponse> ParseDnsResponse(std::span<const uint8_t> bytes, uint16_t id,
                                            const std::string& name, DnsType type) {
  Reader reader(bytes);
  const bool is_ours = reader.Short() == id;
  const uint16_t flags = reader.Short();
  const uint16_t questions = reader.Short();
  const uint16_t answers = reader.Short();
  (void)reader.Long();
  if (!reader.ok() || !is_ours || (flags & kIsResponse) == 0 || questions != 1) return std::nullopt;
  if (reader.Name() != name || reader.Short() != static_cast<uint16_t>(type) ||
      reader.Short() != kClassInternet || !reader.ok()) {
    return std::nullopt;
  }
  DnsResponse response;
  response.code = static_cast<DnsCode>(flags & 0xfU);
  response.is_truncated = (flags & kTruncated) != 0;
  std::vector<Record> records;
  for (int i = 0; i < answers && i < kMaxRecords; ++i) {
    records.push_back(ReadRecord(&reader));
    // What was cut off is asked for again by a connection.
    if (!reader.ok()) return response.is_truncated ? std::optional(response) : std::nullopt;
  }
  uint32_t ttl = std::numeric_limits<uint32_t>::max();
  std::string owner = name;
  for (int alias = 0; alias < kMaxAliases; ++alias) {
    const Record* next = nullptr;
    for (const Record& record : records) {
      if (record.owner != owner) continue;
      if (const auto address = AddressOf(record, type)) {
        response.addresses.push_back(*address);
        ttl = std::min(ttl, record.ttl);
      } else if (record.type == static_cast<uint16_t>(DnsType::kCname)) {
        next = &record;
      }
    }
    if (!response.addresses.empty() || next == nullptr) break;
    ttl = std::min(ttl, next->ttl);
    Reader target(bytes.first(next->data_at + next->data.size()));
    (void)target.Bytes(next->data_at);
    owner = target.Name();
    if (!target.ok()) return std::nullopt;
  }
  if (!response.addresses.empty()) response.ttl_seconds = ttl;
  return response;
}

}  // namespace cordon::net
