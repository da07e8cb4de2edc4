#ifndef CORDON_SHADOW_NODE_H_
#define CORDON_SHADOW_NODE_H_

// What a path of a tree is.

#include <cstdint>
#include <optional>
#include <string>

#include "base/sha256.h"

namespace cordon::shadow {

enum class NodeType { kFile, kDirectory, kLink, kOther };

// What says, without reading it, that a file is still the one that was looked at: the kernel sets
// the time of change with every write, and nothing sets it back.
struct Identity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  // The time of change lies so far back that a later write must have given another one.
  bool is_settled = false;

  // The same file with the same contents and attributes, for certain.
  [[nodiscard]] bool Proves(const Identity& now) const {
    return is_settled && device == now.device && inode == now.inode && size == now.size &&
           mtime_ns == now.mtime_ns && ctime_ns == now.ctime_ns;
  }
};

struct Node {
  NodeType type = NodeType::kOther;
  uint32_t mode = 0;                     // the lower twelve bits
  uint64_t size = 0;                     // bytes of a file
  int64_t mtime_ns = 0;                  // since 1970
  std::string target;                    // of a link
  std::optional<Sha256::Digest> sha256;  // of a file's contents, where they were read
};

// What the kernel says of a path, without following a link.
struct Stat {
  Node node;
  Identity identity;
  uint64_t allocated_bytes = 0;  // what it takes; less than its size where it has holes
  uint64_t device_number = 0;    // of a device
  uint64_t links = 1;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint16_t format = 0;  // S_IFMT
  bool is_mount_point = false;
};

[[nodiscard]] constexpr const char* TypeName(NodeType type) {
  switch (type) {
    case NodeType::kFile:
      return "file";
    case NodeType::kDirectory:
      return "directory";
    case NodeType::kLink:
      return "link";
    case NodeType::kOther:
      return "special file";
  }
  return "";
}

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_NODE_H_
