#include "packages/build_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/memory_file.h"
#include "base/new_file.h"
#include "base/owned_fd.h"
#include "packages/index.h"
#include "packages/policy.h"
#include "packages/store.h"

namespace cordon::packages {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".wasm";
constexpr off_t kMostBytes = off_t{512} << 20;

Result<std::vector<std::byte>> ReadAll(const OwnedFd& fd, const std::string& shown) {
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + shown + ")");
  if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kInvalid, "not a regular file", shown);
  if (stat.st_size > kMostBytes) return Fail(ErrorCode::kLimit, "more than 512 MiB", shown);
  std::vector<std::byte> bytes(static_cast<size_t>(stat.st_size));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        pread(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("read(" + shown + ")");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

Result<std::vector<std::byte>> ReadFile(const std::string& path) {
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemError("open(" + path + ")");
  return ReadAll(fd, path);
}

// Of the index that is there: what people wrote into it.
Json OldPackages(const std::string& path) {
  const Result<std::vector<std::byte>> old = ReadFile(path);
  if (!old) return Json::object();
  const auto* text = reinterpret_cast<const char*>(old->data());
  const Json index =
      Json::parse(std::string_view(text, old->size()), nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("packages")) return Json::object();
  return index["packages"].is_object() ? index["packages"] : Json::object();
}

Result<Json> Describe(const fs::path& file, const std::string& name, const Json& old) {
  const Result<std::vector<std::byte>> bytes = ReadFile(file);
  if (!bytes) return std::unexpected(bytes.error());
  constexpr uint8_t kModule[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  if (bytes->size() < sizeof kModule || memcmp(bytes->data(), kModule, sizeof kModule) != 0) {
    return Fail(ErrorCode::kInvalid, "no WebAssembly module", file);
  }
  Json entry = {
      {"url", file.filename().string()}, {"sha256", HashOf(*bytes)}, {"size", bytes->size()}};
  const auto before = old.find(name);
  if (before != old.end() && before->is_object() && before->contains("description")) {
    entry["description"] = (*before)["description"];
  }
  return entry;
}

Result<FetcherReport> Sign(const Fetcher& fetcher, const std::string& key_file,
                           std::string_view text) {
  const OwnedFd key(open(key_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!key.valid()) return SystemError("open(" + key_file + ")");
  const Result<OwnedFd> message = MemoryFileWith("cordon-index", text);
  if (!message) return std::unexpected(message.error());
  const std::string comment =
      "timestamp:" + std::to_string(time(nullptr)) + "\tfile:" + kIndexFile + "\thashed";
  const auto report = RunFetcher(
      fetcher, {{"sign", comment}, {message->get(), key.get()}, std::chrono::seconds(30), {}});
  if (!report) return Fail(ErrorCode::kInvalid, report.error().message, key_file);
  if (report->key.empty() || report->signature.empty()) {
    return Fail(ErrorCode::kInternal, "cordon-fetch signed nothing", key_file);
  }
  return *report;
}

}  // namespace

Result<BuiltIndex> BuildIndex(const Fetcher& fetcher, const IndexRequest& request) {
  std::error_code error;
  const fs::path folder(request.folder);
  const std::string place = folder / kIndexFile;
  const Json old = OldPackages(place);
  Json packages = Json::object();
  BuiltIndex built;
  for (const fs::directory_entry& file : fs::directory_iterator(folder, error)) {
    const std::string base = file.path().filename();
    if (!base.ends_with(kSuffix)) continue;
    const std::string name = base.substr(0, base.size() - kSuffix.size());
    if (!CheckName(name)) {
      return Fail(ErrorCode::kInvalid, "Invalid package name: '" + Shown(name) + "'", file.path());
    }
    const Result<Json> entry = Describe(file.path(), name, old);
    if (!entry) return std::unexpected(entry.error());
    built.bytes += (*entry)["size"].get<uint64_t>();
    packages[name] = *entry;
  }
  if (error) return SystemError("opendir(" + request.folder + ")", error.value());
  built.packages = packages.size();
  const std::string text = Json{{"version", 1}, {"packages", std::move(packages)}}.dump(
                               2, ' ', false, Json::error_handler_t::replace) +
                           "\n";
  const std::string signature_place = place + kSignatureSuffix;
  if (request.key_file.empty()) {
    // An old signature would be of another index.
    if (unlink(signature_place.c_str()) != 0 && errno != ENOENT) {
      return SystemError("unlink(" + signature_place + ")");
    }
    CORDON_TRY(ReplaceFile(place, text, 0644));
    return built;
  }
  const Result<FetcherReport> report = Sign(fetcher, request.key_file, text);
  if (!report) return std::unexpected(report.error());
  built.public_key = report->key;
  CORDON_TRY(ReplaceFile(place, text, 0644));
  CORDON_TRY(ReplaceFile(signature_place, report->signature, 0644));
  return built;
}

}  // namespace cordon::packages
