#include "policy/layer.h"

#include <sys/stat.h>

#include <algorithm>

#include "policy/host_files.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr const char* kProjectFiles[] = {"cordon.yaml", "sbox.yaml"};

const Ask* FindAsk(const Layer& layer, const Layer::Asks& asks, Mark mark) {
  if (layer.approved || layer.origin != Origin::kProject) return nullptr;
  const auto found = asks.find({mark.line, mark.column});
  return found == asks.end() ? nullptr : &found->second;
}

}  // namespace

const Ask* Layer::Withheld(Mark mark) const {
  return FindAsk(*this, asks, mark);
}

const Ask* Layer::WithheldOnHost(Mark mark) const {
  return FindAsk(*this, host_asks, mark);
}

std::string Layer::Folder() const {
  return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

std::optional<Layer> ReadLayer(const std::string& path, FileKind kind, Origin origin,
                               std::vector<Error>* errors) {
  Layer layer;
  layer.path = RealPath(path);
  if (layer.path.empty()) {
    errors->push_back(Fail(ErrorCode::kInvalid, "config file not found", path).error());
    return std::nullopt;
  }
  const Result<std::string> text = ReadHostFile(layer.path, kMaxBytes);
  if (!text) {
    errors->push_back(text.error());
    return std::nullopt;
  }
  layer.kind = kind;
  layer.origin = origin;
  layer.sha256 = HashText(*text);
  layer.document = ReadDocument(*text, layer.path, kind, errors);
  return layer;
}

Layer MakeLayer(const std::string& text) {
  Layer layer;
  layer.origin = Origin::kCordon;
  std::vector<Error> errors;
  layer.document = ReadDocument(text, "", FileKind::kCordon, &errors);
  return layer;
}

Layer MakeLayer(const YamlNode& root) {
  Layer layer;
  layer.origin = Origin::kCordon;
  std::vector<Error> errors;
  layer.document = ReadDocument(root, FileKind::kCordon, &errors);
  return layer;
}

Status CheckProjectFile(const std::string& path, uid_t uid) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return SystemError("lstat(" + path + ")");
  if (S_ISLNK(status.st_mode)) {
    return Fail(ErrorCode::kInvalid, "a symbolic link; --config names the file that is meant",
                path);
  }
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalid, "no regular file", path);
  if (status.st_uid != uid && status.st_uid != 0) {
    return Fail(ErrorCode::kInvalid, "belongs to somebody else; --config names it all the same",
                path);
  }
  return {};
}

FileKind KindOfFile(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.starts_with("sbox") ? FileKind::kSbox : FileKind::kCordon;
}

std::string FindProjectFile(const std::string& directory) {
  for (std::string folder = directory;; folder = folder.substr(0, folder.rfind('/'))) {
    for (const char* name : kProjectFiles) {
      const std::string path = folder + "/" + name;
      // Whatever it is: a link is a project's file wherever it leads, and nothing is passed over.
      if (Inspect(path) != Found::kMissing) return path;
    }
    if (folder.empty()) return {};
  }
}

std::optional<Layer> ReadUserLayer(const Surroundings& around, std::vector<Error>* errors) {
  if (!around.policy_file.empty()) {
    // Named for this once: its folder is whatever the user says.
    if (const Status owner = CheckOwner(around.policy_file, around.uid); !owner) {
      errors->push_back(owner.error());
      return std::nullopt;
    }
    return ReadLayer(around.policy_file, FileKind::kUser, Origin::kUser, errors);
  }
  if (around.config_home.empty()) return std::nullopt;
  const std::string path = around.config_home + "/policy.yaml";
  if (Inspect(path) == Found::kMissing) return std::nullopt;
  for (const std::string& part : {around.config_home, path}) {
    if (const Status owner = CheckOwner(part, around.uid); !owner) {
      errors->push_back(owner.error());
      return std::nullopt;
    }
  }
  return ReadLayer(path, FileKind::kUser, Origin::kUser, errors);
}

}  // namespace cordon::policy
