#include "policy/trust.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/new_file.h"
#include "base/sha256.h"
#include "policy/host_files.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxBytes = 4 << 20;

Result<std::vector<Approval>> Parse(const std::string& text, const std::string& file) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("version") || json["version"] != 1 ||
      !json.contains("approvals") || !json["approvals"].is_array()) {
    return Fail(ErrorCode::kCorrupt, "not a list of approvals, version 1", file);
  }
  std::vector<Approval> approvals;
  for (const auto& entry : json["approvals"]) {
    const auto text_of = [&](const char* key) {
      return entry.is_object() && entry.contains(key) && entry[key].is_string()
                 ? entry[key].get<std::string>()
                 : std::string();
    };
    Approval approval = {text_of("path"), text_of("subject"), text_of("sha256"), {}};
    if (approval.path.empty() || approval.subject.empty() || approval.sha256.size() != 64) {
      return Fail(ErrorCode::kCorrupt, "an approval without path, subject or sha256", file);
    }
    if (entry.contains("what") && entry["what"].is_array()) {
      for (const auto& what : entry["what"]) {
        if (what.is_string()) approval.what.push_back(what);
      }
    }
    approvals.push_back(std::move(approval));
  }
  return approvals;
}

}  // namespace

Status CheckOwner(const std::string& path, uid_t uid) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return SystemError("lstat(" + path + ")");
  if (status.st_uid != uid && status.st_uid != 0) {
    return Fail(ErrorCode::kInvalid, "belongs to somebody else", path);
  }
  if (!S_ISLNK(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Fail(ErrorCode::kInvalid, "others may write it (expected mode 0600, folder 0700)", path);
  }
  return {};
}

Status MakeFolders(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string folder = path.substr(0, at);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return SystemError("mkdir(" + folder + ")");
    if (at == std::string::npos) return {};
  }
}

std::string HashText(const std::string& text) {
  Sha256 hash;
  hash.Update(text);
  return Sha256::Hex(hash.Finish());
}

Result<TrustStore> TrustStore::Load(const Surroundings& around) {
  TrustStore store;
  if (around.config_home.empty()) return store;
  store.file_ = around.config_home + "/trust.json";
  if (Inspect(store.file_) == Found::kMissing) return store;
  for (const std::string& path : {around.config_home, store.file_}) {
    if (const Status owner = CheckOwner(path, around.uid); !owner) {
      return std::unexpected(owner.error());
    }
  }
  const Result<std::string> text = ReadHostFile(store.file_, kMaxBytes);
  if (!text) return std::unexpected(text.error());
  Result<std::vector<Approval>> approvals = Parse(*text, store.file_);
  if (!approvals) return std::unexpected(approvals.error());
  store.approvals_ = std::move(*approvals);
  return store;
}

bool TrustStore::IsApproved(const std::string& path, const std::string& subject,
                            const std::string& sha256) const {
  return std::ranges::any_of(approvals_, [&](const Approval& approval) {
    return approval.path == path && approval.subject == subject && approval.sha256 == sha256;
  });
}

void TrustStore::Approve(Approval approval) {
  std::erase_if(approvals_, [&](const Approval& old) {
    return old.path == approval.path && old.subject == approval.subject;
  });
  approvals_.push_back(std::move(approval));
}

bool TrustStore::Revoke(const std::string& path) {
  return std::erase_if(approvals_, [&](const Approval& old) { return old.path == path; }) > 0;
}

Status TrustStore::Save() const {
  if (file_.empty()) return Fail(ErrorCode::kInvalid, "no home directory to remember approvals in");
  CORDON_TRY(MakeFolders(file_.substr(0, file_.rfind('/'))));
  nlohmann::json json = {{"version", 1}, {"approvals", nlohmann::json::array()}};
  for (const Approval& approval : approvals_) {
    json["approvals"].push_back({{"path", approval.path},
                                 {"subject", approval.subject},
                                 {"sha256", approval.sha256},
                                 {"what", approval.what}});
  }
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  return ReplaceFile(file_, text + "\n", 0600);
}

}  // namespace cordon::policy
