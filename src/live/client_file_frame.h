#ifndef CORDON_LIVE_CLIENT_FILE_FRAME_H_
#define CORDON_LIVE_CLIENT_FILE_FRAME_H_

// What a keeper and a client say to each other about the files of a file system that the client
// has (docs/file-protocol.md). All numbers are little-endian. What the client says is nothing but
// bytes until it was checked here.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kernel/control.h"
#include "live/client_file_words.h"
#include "live/host_directory.h"

namespace cordon::live {

// Of one answer: what is behind its head.
inline constexpr uint32_t kMaxClientRead = 1 << 20;
inline constexpr uint32_t kMaxClientList = 4 << 20;
inline constexpr size_t kMaxClientEntries = 65'536;

// The first words: for which of the client's file systems the connection is.
[[nodiscard]] std::string EncodeClientHello(std::string_view key);
// `data` has what is written.
[[nodiscard]] std::string EncodeClientRequest(uint32_t number, const FileRequest& request,
                                              const uint8_t* data);

struct ClientFileAnswer {
  uint32_t number = 0;
  int64_t result = 0;
  std::string data;
};

// Takes answers out of what arrived.
class ClientAnswerReader {
 public:
  void Add(std::string_view bytes) { bytes_.append(bytes); }
  // Nothing: more bytes are needed. An error, ever after: the client breaks the rules.
  [[nodiscard]] Result<std::optional<ClientFileAnswer>> Next();

 private:
  std::string bytes_;
  size_t at_ = 0;
};

// What an answer means. Nothing: it makes no sense.
[[nodiscard]] std::optional<control::FileFacts> ReadClientStat(std::string_view path,
                                                               const ClientFileAnswer& answer);
struct ClientEntry {
  uint32_t type;  // of st_mode
  std::string name;
};
[[nodiscard]] std::optional<std::vector<ClientEntry>> ReadClientList(
    const ClientFileAnswer& answer);
// Where an append of `count` bytes has ended.
[[nodiscard]] std::optional<uint64_t> ReadClientEnd(uint32_t count, const ClientFileAnswer& answer);

// A file's number: it has none but its path.
[[nodiscard]] uint64_t ClientInode(std::string_view directory, std::string_view name);

}  // namespace cordon::live

#endif  // CORDON_LIVE_CLIENT_FILE_FRAME_H_
