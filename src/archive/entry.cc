#include "archive/entry.h"

#include <algorithm>

namespace cordon::archive {
namespace {

constexpr size_t kMostNames = 100;
constexpr size_t kMaxPath = 4000;  // and what it is put below
constexpr size_t kMaxName = 255;

}  // namespace

void Skipped::Add(const std::string& name, std::string_view reason) {
  ++count_;
  if (names_.size() < kMostNames) names_.push_back(name + ": " + std::string(reason));
}

Result<std::string> CleanPath(std::string_view path) {
  const auto refuse = [&](const char* why) {
    return Fail(ErrorCode::kInvalid, std::string("archive: ") + why,
                std::string(path.substr(0, 200)));
  };
  if (path.starts_with('/')) return refuse("an absolute path");
  if (path.find('\0') != std::string_view::npos) return refuse("a path with a zero byte");
  if (path.size() > kMaxPath) return refuse("a path of more than 4000 bytes");
  std::string clean;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name.empty() || name == ".") continue;
    if (name == "..") return refuse("a path with \"..\"");
    if (name.size() > kMaxName) return refuse("a name of more than 255 bytes");
    if (!clean.empty()) clean += '/';
    clean += name;
  }
  return clean;
}

}  // namespace cordon::archive
