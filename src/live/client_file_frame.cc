#include "live/client_file_frame.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace cordon::live {
namespace {

constexpr uint32_t kAnswerHead = sizeof(ClientFileAnswerHead) - sizeof(uint32_t);
constexpr uint64_t kLargestFile = uint64_t{1} << 53;
constexpr uint64_t kBlock = 512;

bool IsType(uint32_t type) {
  return type == S_IFREG || type == S_IFDIR || type == S_IFLNK;
}

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string Encode(ClientFileRequestHead head, std::string_view path, std::string_view data) {
  head.path_bytes = static_cast<uint32_t>(path.size());
  head.version = kClientFileVersion;
  head.bytes = static_cast<uint32_t>(sizeof head - sizeof head.bytes + path.size() + data.size());
  return std::string(BytesOf(head)).append(path).append(data);
}

void Mix(uint64_t* hash, std::string_view text) {
  for (const char c : text) *hash = (*hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
}

}  // namespace

std::string EncodeClientHello(std::string_view key) {
  return Encode({}, key, {});
}

std::string EncodeClientRequest(uint32_t number, const FileRequest& request, const uint8_t* data) {
  ClientFileRequestHead head = {};
  head.number = number;
  head.op = static_cast<uint32_t>(request.op);
  head.offset = request.offset;
  head.argument = request.argument;
  head.count = request.count;
  const bool writes = request.op == control::FileOp::kWrite;
  return Encode(head, request.path,
                writes ? std::string_view(reinterpret_cast<const char*>(data), request.count)
                       : std::string_view(request.second));
}

Result<std::optional<ClientFileAnswer>> ClientAnswerReader::Next() {
  const std::string_view rest = std::string_view(bytes_).substr(at_);
  ClientFileAnswerHead head = {};
  memcpy(&head, rest.data(), std::min(rest.size(), sizeof head));
  const bool has_length = rest.size() >= sizeof head.bytes;
  if (has_length && (head.bytes < kAnswerHead || head.bytes > kAnswerHead + kMaxClientList))
    return Fail(ErrorCode::kCorrupt, "an answer about files of a length that none has");
  const size_t size = sizeof head.bytes + head.bytes;
  if (!has_length || rest.size() < size) {
    bytes_.erase(0, at_);
    at_ = 0;
    return std::nullopt;
  }
  at_ += size;
  return ClientFileAnswer{head.number, head.result,
                          std::string(rest.substr(sizeof head, size - sizeof head))};
}

std::optional<control::FileFacts> ReadClientStat(std::string_view path,
                                                 const ClientFileAnswer& answer) {
  ClientFileStat stat = {};
  if (answer.data.size() != sizeof stat) return std::nullopt;
  memcpy(&stat, answer.data.data(), sizeof stat);
  if (!IsType(stat.type) || (stat.permissions & ~0777U) != 0 || stat.size > kLargestFile)
    return std::nullopt;
  // What is mounted at a directory is one.
  if (path.empty() && stat.type != S_IFDIR) return std::nullopt;
  const size_t slash = path.rfind('/');
  const bool is_below = slash != std::string_view::npos;
  return control::FileFacts{
      stat.type | stat.permissions,
      stat.type == S_IFDIR ? 2U : 1U,
      stat.size,
      ClientInode(is_below ? path.substr(0, slash) : "", is_below ? path.substr(slash + 1) : path),
      (stat.size + kBlock - 1) / kBlock,
      stat.mtime_ns,
      stat.mtime_ns,
      stat.mtime_ns};
}

std::optional<std::vector<ClientEntry>> ReadClientList(const ClientFileAnswer& answer) {
  std::vector<ClientEntry> entries;
  std::set<std::string_view> names;
  std::string_view rest = answer.data;
  while (!rest.empty()) {
    ClientFileEntry entry = {};
    if (rest.size() < sizeof entry || entries.size() == kMaxClientEntries) return std::nullopt;
    memcpy(&entry, rest.data(), sizeof entry);
    rest.remove_prefix(sizeof entry);
    if (entry.name_bytes > rest.size()) return std::nullopt;
    const std::string_view name = rest.substr(0, entry.name_bytes);
    rest.remove_prefix(entry.name_bytes);
    const bool is_name =
        !name.empty() && name.find('/') == std::string_view::npos && IsServedPath(name);
    if (!is_name || !IsType(entry.type) || !names.insert(name).second) return std::nullopt;
    entries.push_back({entry.type, std::string(name)});
  }
  return entries;
}

std::optional<uint64_t> ReadClientEnd(uint32_t count, const ClientFileAnswer& answer) {
  uint64_t end = 0;
  if (answer.data.size() != sizeof end) return std::nullopt;
  memcpy(&end, answer.data.data(), sizeof end);
  if (end < count || end > kLargestFile) return std::nullopt;
  return end;
}

uint64_t ClientInode(std::string_view directory, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  Mix(&hash, directory);
  Mix(&hash, "/");
  Mix(&hash, name);
  return std::max<uint64_t>(hash >> 1, 2);
}

}  // namespace cordon::live
