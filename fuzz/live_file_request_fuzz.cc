// What a sandbox asks the file server outside: whatever is in the page, a request that is taken has
// paths that stay below what is mounted, and lengths that fit.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "live/file_server.h"

namespace {

bool StaysBelow(std::string_view path) {
  if (path.find('\0') != std::string_view::npos || path.starts_with('/')) return false;
  int depth = 0;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    if (name == "..") --depth;
    if (name != ".." && name != "." && !name.empty()) ++depth;
    if (depth < 0) return false;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto call = std::make_unique<cordon::control::FileCall>();
  uint32_t head[3];  // op, path_bytes, count
  if (size < sizeof head) return 0;
  memcpy(head, data, sizeof head);
  data += sizeof head;
  size -= sizeof head;
  call->op = head[0];
  call->path_bytes = head[1];
  call->count = head[2];
  const size_t half = std::min(size / 2, sizeof call->path);
  memcpy(call->path, data, half);
  memcpy(call->data, data + half, std::min(size - half, sizeof call->data));
  const auto request = cordon::live::ReadFileRequest(*call);
  if (!request) return 0;
  if (!StaysBelow(request->path) || request->count > cordon::control::kFileCallBytes) std::abort();
  const bool is_rename = request->op == cordon::control::FileOp::kRename;
  if (is_rename && !StaysBelow(request->second)) std::abort();
  return 0;
}
