#include "backend/wasm/tree_calls.h"

#include <algorithm>
#include <cstring>

namespace cordon::backend {
namespace {

constexpr size_t kMostRead = control::kMailboxBytes;
// With its path.
constexpr size_t kMostWritten = control::kMailboxBytes - 8 * 1024;
// No directory of a sandbox has more entries.
constexpr size_t kMostEntries = 10'000'000;
constexpr size_t kMaxName = 255;

std::unexpected<Error> Damaged(const std::string& path) {
  return Fail(ErrorCode::kCorrupt, "the sandbox gave no sensible answer", path);
}

uint32_t Low(uint64_t value) {
  return static_cast<uint32_t>(value);
}
uint32_t High(uint64_t value) {
  return static_cast<uint32_t>(value >> 32);
}

bool TakeString(std::string_view* bytes, std::string* text) {
  const size_t end = bytes->find('\0');
  if (end == std::string_view::npos) return false;
  text->assign(bytes->substr(0, end));
  bytes->remove_prefix(end + 1);
  return true;
}

// A name that is one: it becomes part of paths.
bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find('/') == std::string::npos;
}

bool TakeNode(std::string_view* bytes, uint64_t* cookie, TreeNode* node) {
  control::TreeEntry entry = {};
  if (bytes->size() < sizeof entry) return false;
  memcpy(&entry, bytes->data(), sizeof entry);
  bytes->remove_prefix(sizeof entry);
  // Otherwise a listing might never end.
  if (entry.cookie <= *cookie) return false;
  *cookie = entry.cookie;
  node->changes = entry.changes;
  node->mode = entry.mode;
  node->uid = entry.uid;
  node->gid = entry.gid;
  node->links = entry.links;
  node->inode = entry.inode;
  node->size = entry.size;
  node->mtime_ns = entry.mtime_ns;
  node->ctime_ns = entry.ctime_ns;
  return TakeString(bytes, &node->name) && TakeString(bytes, &node->target) && IsName(node->name);
}

}  // namespace

Result<ServiceAnswer> TreeCalls::Call(control::Request request,
                                      const std::array<uint32_t, 6>& arguments,
                                      const std::string& payload, const std::string& path,
                                      std::span<const std::byte> more) const {
  Result<ServiceAnswer> answer =
      keeper_.Call({request, arguments, std::as_bytes(std::span(payload)), more});
  if (answer && answer->result < 0) {
    return SystemError("file in the sandbox: " + path, -answer->result);
  }
  return answer;
}

Result<std::vector<TreeNode>> TreeCalls::List(const std::string& path, Extent extent) const {
  std::vector<TreeNode> nodes;
  for (uint64_t cookie = 0; nodes.size() < kMostEntries;) {
    const Result<ServiceAnswer> page =
        Call(control::Request::kTreeList,
             {static_cast<uint32_t>(extent), Low(cookie), High(cookie)}, path + '\0', path);
    if (!page) return std::unexpected(page.error());
    if (page->result == 0) {
      std::ranges::sort(nodes, {}, &TreeNode::name);
      return nodes;
    }
    std::string_view bytes(reinterpret_cast<const char*>(page->payload.data()),
                           page->payload.size());
    for (int32_t i = 0; i < page->result; ++i) {
      TreeNode node;
      if (!TakeNode(&bytes, &cookie, &node)) return Damaged(path);
      const bool is_removed = (node.changes & control::kTreeRemoved) != 0;
      if (node.mode != 0 || is_removed) nodes.push_back(std::move(node));
    }
  }
  return Damaged(path);
}

Result<std::vector<std::byte>> TreeCalls::Read(const std::string& path, uint64_t offset) const {
  Result<ServiceAnswer> got = Call(control::Request::kTreeRead,
                                   {0, Low(offset), High(offset), kMostRead}, path + '\0', path);
  if (!got) return std::unexpected(got.error());
  got->payload.resize(std::min({static_cast<size_t>(got->result), got->payload.size(), kMostRead}));
  return std::move(got->payload);
}

Status TreeCalls::Make(const std::string& path, uint32_t mode, Owner owner,
                       const std::string& target) const {
  CORDON_TRY(Call(control::Request::kTreeMake, {mode, owner.uid, owner.gid},
                  path + '\0' + target + '\0', path));
  return {};
}

Status TreeCalls::Write(const std::string& path, uint64_t offset,
                        std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::span<const std::byte> part = bytes.first(std::min(bytes.size(), kMostWritten));
    const Result<ServiceAnswer> put =
        Call(control::Request::kTreeWrite,
             {0, Low(offset), High(offset), static_cast<uint32_t>(part.size())}, path + '\0', path,
             part);
    if (!put) return std::unexpected(put.error());
    if (static_cast<size_t>(put->result) != part.size()) {
      return SystemError("file in the sandbox: " + path, EDQUOT);
    }
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Result<std::vector<uint64_t>> TreeCalls::Hold(uint32_t chunks) const {
  const Result<ServiceAnswer> held = Call(control::Request::kTreeHold, {chunks}, {}, "contents");
  if (!held) return std::unexpected(held.error());
  std::vector<uint64_t> places(
      std::min({static_cast<size_t>(held->result), static_cast<size_t>(chunks),
                held->payload.size() / sizeof(uint64_t)}));
  if (!places.empty()) {
    memcpy(places.data(), held->payload.data(), places.size() * sizeof(uint64_t));
  }
  return places;
}

Status TreeCalls::TakeOver(const std::string& path, uint64_t offset, uint32_t first,
                           uint32_t bytes) const {
  const Result<ServiceAnswer> put =
      Call(control::Request::kTreeTakeOver, {first, Low(offset), High(offset), bytes}, path + '\0',
           path);
  if (!put) return std::unexpected(put.error());
  if (static_cast<uint32_t>(put->result) != bytes) {
    return SystemError("file in the sandbox: " + path, EDQUOT);
  }
  return {};
}

Status TreeCalls::SetAttributes(const std::string& path, uint32_t mode, Owner owner,
                                int64_t mtime_ns) const {
  const auto mtime = static_cast<uint64_t>(mtime_ns);
  CORDON_TRY(Call(control::Request::kTreeAttributes,
                  {mode, owner.uid, owner.gid, Low(mtime), High(mtime)}, path + '\0', path));
  return {};
}

Status TreeCalls::Link(const std::string& from, const std::string& to) const {
  CORDON_TRY(Call(control::Request::kTreeLink, {}, from + '\0' + to + '\0', to));
  return {};
}

Status TreeCalls::Remove(const std::string& path) const {
  CORDON_TRY(Call(control::Request::kTreeRemove, {}, path + '\0', path));
  return {};
}

}  // namespace cordon::backend
