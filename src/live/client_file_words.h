#ifndef CORDON_LIVE_CLIENT_FILE_WORDS_H_
#define CORDON_LIVE_CLIENT_FILE_WORDS_H_

// What a keeper and a client say about the client's files (docs/file-protocol.md), for both sides:
// a head, then what it says follows. All numbers are little-endian.

#include <cstdint>

namespace cordon::live {

inline constexpr uint32_t kClientFileVersion = 1;

struct ClientFileRequestHead {
  uint32_t bytes;  // of what follows this word
  uint32_t number;
  uint32_t op;          // control::FileOp; 0: the first words of a connection
  uint32_t path_bytes;  // of the path that follows the head; then data
  uint64_t offset, argument;
  uint32_t count;
  uint32_t version;
};
struct ClientFileAnswerHead {
  uint32_t bytes;  // of what follows this word
  uint32_t number;
  int64_t result;  // or -errno
};
// Data of an answer about kStat.
struct ClientFileStat {
  uint32_t type;  // of st_mode: a file, a directory or a link
  uint32_t permissions;
  uint64_t size;
  int64_t mtime_ns;
};
// Of kList: this and a name, repeated, in any order.
struct ClientFileEntry {
  uint32_t type;
  uint32_t name_bytes;
};

static_assert(sizeof(ClientFileRequestHead) == 40);
static_assert(sizeof(ClientFileAnswerHead) == 16);
static_assert(sizeof(ClientFileStat) == 24);

}  // namespace cordon::live

#endif  // CORDON_LIVE_CLIENT_FILE_WORDS_H_
