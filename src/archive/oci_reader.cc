#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "archive/oci_image.h"
#include "archive/oci_names.h"
#include "base/json_bounds.h"
#include "base/memory_file.h"

namespace cordon::archive {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostFiles = 256;
constexpr size_t kMostLayers = 64;
constexpr size_t kMaxTextBytes = size_t{4} << 20;
// Of a description. What it says of a session goes on to the daemon, which has others' to lose.
constexpr JsonBounds kBounds = {.levels = 32, .values = 200'000};

Status Refuse(const std::string& what) {
  return Fail(ErrorCode::kInvalid, "image: " + what);
}

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

// Null if it has none. Belongs to `object`.
const Json& MemberOf(const Json& object, const char* name) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

// What is no JSON has no member.
Result<Json> ParseDescription(const std::string& text) {
  if (!IsWithin(text, kBounds)) {
    return Fail(ErrorCode::kLimit, "image: a description of more than 32 levels or 200000 values");
  }
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

struct Descriptor {
  std::string type;
  std::string digest;
  uint64_t size = 0;
};

std::optional<Descriptor> ReadDescriptor(const Json& value) {
  const Json& size = MemberOf(value, "size");
  Descriptor descriptor = {TextOf(value, "mediaType"), TextOf(value, "digest"), 0};
  if (!size.is_number_unsigned() || !descriptor.digest.starts_with("sha256:")) return std::nullopt;
  descriptor.size = size.get<uint64_t>();
  return descriptor;
}

}  // namespace

// Takes the layout's files out of the outer tar.
class ImageReader::Collector final : public EntryVisitor {
 public:
  Collector(int fd, std::span<const std::byte> file, ImageBlobs* blobs)
      : fd_(fd), file_(file), blobs_(*blobs) {}

  Status Begin(const Entry& entry) override {
    is_kept_ = false;
    if (entry.kind == Kind::kDirectory) return {};
    if (entry.kind != Kind::kFile) return Refuse("its archive has more than files: " + entry.path);
    name_ = entry.path;
    hash_ = Sha256();
    at_ = 0;
    size_ = entry.size;
    // Descriptions for other tools, as docker's manifest.json, are not read.
    is_kept_ = name_ == oci::kIndexFile || name_ == oci::kLayoutFile || IsBlob();
    blob_ = ImageBlob();
    blob_.is_unverified = IsBlob() && size_ > kMaxTextBytes;
    return {};
  }

  Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    if (!is_kept_) return {};
    if (offset != at_) return Refuse("a blob with holes: " + name_);
    at_ += bytes.size();
    if (!blob_.is_unverified) hash_.Update(bytes);
    return Keep(offset, bytes);
  }

  Status End() override {
    if (!is_kept_) return {};
    if (at_ != size_) return Refuse("a blob that was cut: " + name_);
    std::string key = name_;
    if (IsBlob()) {
      key = "sha256:" + name_.substr(std::string_view(oci::kBlobFolder).size());
      if (!blob_.is_unverified) CORDON_TRY(HoldBlob(key, "sha256:" + Sha256::Hex(hash_.Finish())));
    }
    if (blob_.own.valid()) {
      CORDON_TRY(SealMemoryFile(blob_.own.get()));
      Result<SealedBytes> mapped = SealedBytes::Map(blob_.own.get(), size_);
      if (!mapped) return std::unexpected(mapped.error());
      blob_.bytes = mapped->bytes();
      blob_.mapped = std::make_unique<SealedBytes>(std::move(*mapped));
      blob_.fd = blob_.own.get();
    }
    blobs_.erase(key);
    blobs_.emplace(key, std::move(blob_));
    return {};
  }

 private:
  [[nodiscard]] bool IsBlob() const { return name_.starts_with(oci::kBlobFolder); }

  // Stays where it is as long as it lies in the file, one part behind the other.
  Status Keep(uint64_t offset, std::span<const std::byte> bytes) {
    const std::less_equal<const std::byte*> before;
    const bool is_inside = before(file_.data(), bytes.data()) &&
                           before(bytes.data() + bytes.size(), file_.data() + file_.size());
    if (offset == 0 && is_inside) {
      blob_.fd = fd_;
      blob_.offset = static_cast<uint64_t>(bytes.data() - file_.data());
      blob_.bytes = bytes;
      return {};
    }
    const std::byte* end = blob_.bytes.data() + blob_.bytes.size();
    if (!blob_.own.valid() && offset > 0 && is_inside && bytes.data() == end) {
      blob_.bytes = {blob_.bytes.data(), blob_.bytes.size() + bytes.size()};
      return {};
    }
    if (!blob_.own.valid()) {
      Result<OwnedFd> memory = NewMemoryFile("cordon-blob");
      if (!memory) return std::unexpected(memory.error());
      FileSink sink(memory->get(), 0, UINT64_MAX);
      CORDON_TRY(sink.Write(blob_.bytes));
      const bool is_unverified = blob_.is_unverified;
      blob_ = ImageBlob();
      blob_.is_unverified = is_unverified;
      blob_.own = std::move(*memory);
    }
    FileSink sink(blob_.own.get(), offset, UINT64_MAX);
    return sink.Write(bytes);
  }

  int fd_;
  std::span<const std::byte> file_;
  ImageBlobs& blobs_;
  std::string name_;
  ImageBlob blob_;
  Sha256 hash_;
  uint64_t at_ = 0;
  uint64_t size_ = 0;
  bool is_kept_ = false;
};

Result<std::string> ImageReader::BlobText(const std::string& digest, uint64_t size) const {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return Fail(ErrorCode::kInvalid, "image: " + digest + " is not there");
  const ImageBlob& blob = found->second;
  if (size != blob.bytes.size() && size != UINT64_MAX) {
    return Fail(ErrorCode::kCorrupt, "image: " + digest + " has another size");
  }
  if (blob.bytes.size() > kMaxTextBytes)
    return Fail(ErrorCode::kLimit, "image: a description of more than 4 MiB");
  return std::string(reinterpret_cast<const char*>(blob.bytes.data()), blob.bytes.size());
}

Status ImageReader::ReadManifest(const std::string& index) {
  const Result<Json> root = ParseDescription(index);
  if (!root) return std::unexpected(root.error());
  const Json& manifests = MemberOf(*root, "manifests");
  if (!manifests.is_array() || manifests.size() != 1)
    return Refuse("index.json names no image, or several");
  const std::optional<Descriptor> described = ReadDescriptor(manifests[0]);
  if (!described || described->type != oci::kManifestType)
    return Refuse("index.json names no image manifest");
  const Result<std::string> text = BlobText(described->digest, described->size);
  if (!text) return std::unexpected(text.error());
  const Result<Json> manifest = ParseDescription(*text);
  if (!manifest) return std::unexpected(manifest.error());
  const std::optional<Descriptor> config = ReadDescriptor(MemberOf(*manifest, "config"));
  const Json& layers = MemberOf(*manifest, "layers");
  if (!config || config->type != oci::kConfigType || !layers.is_array() ||
      layers.size() > kMostLayers) {
    return Refuse("its manifest has no configuration, or no layers");
  }
  for (const Json& value : layers) {
    const std::optional<Descriptor> layer = ReadDescriptor(value);
    const auto blob = layer ? blobs_.find(layer->digest) : blobs_.end();
    if (blob == blobs_.end() || blob->second.bytes.size() != layer->size) {
      return Refuse("a layer is not there, or has another size");
    }
    ReadJob::Form form = ReadJob::Form::kPlain;
    if (layer->type == oci::kZstdLayerType) {
      form = ReadJob::Form::kZstd;
    } else if (layer->type == oci::kGzipLayerType) {
      form = ReadJob::Form::kAny;
    } else if (layer->type != oci::kLayerType) {
      return Refuse("a layer of another type: " + layer->type.substr(0, 200));
    }
    layers_.push_back({layer->digest, {}, form});
  }
  const Result<std::string> config_text = BlobText(config->digest, config->size);
  if (!config_text) return std::unexpected(config_text.error());
  return ReadConfig(*config_text);
}

Status ImageReader::ReadConfig(const std::string& text) {
  const Result<Json> root = ParseDescription(text);
  if (!root) return std::unexpected(root.error());
  const Json& diff_ids = MemberOf(MemberOf(*root, "rootfs"), "diff_ids");
  if (!diff_ids.is_array() || diff_ids.size() != layers_.size()) {
    return Refuse("its configuration does not fit its layers");
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!diff_ids[i].is_string()) return Refuse("its configuration does not fit its layers");
    layers_[i].diff_id = diff_ids[i].get<std::string>();
  }
  const Json& config = MemberOf(*root, "config");
  config_.directory = TextOf(config, "WorkingDir");
  for (const Json& variable : MemberOf(config, "Env")) {
    if (variable.is_string()) config_.environment.push_back(variable.get<std::string>());
  }
  const Json& session = MemberOf(*root, oci::kSession);
  if (session.is_object())
    config_.session = session.dump(-1, ' ', false, Json::error_handler_t::replace);
  return {};
}

Result<ImageReader> ImageReader::Open(int fd, uint64_t size, uint64_t most_bytes,
                                      const TarReader& tars) {
  Result<SealedBytes> file = SealedBytes::Map(fd, size);
  if (!file) return std::unexpected(file.error());
  ImageReader reader(std::move(*file), tars);
  const std::span<const std::byte> bytes = reader.file_.bytes();
  Collector collector(fd, bytes, &reader.blobs_);
  Skipped skipped;
  CORDON_TRY(
      ReadTree(tars, {.bytes = bytes, .fd = fd}, {kMostFiles, most_bytes}, collector, &skipped));
  const Result<std::string> layout = reader.BlobText(oci::kLayoutFile, UINT64_MAX);
  if (!layout) return Fail(ErrorCode::kInvalid, "no image: it has no file oci-layout");
  const Result<Json> version = ParseDescription(*layout);
  if (!version) return std::unexpected(version.error());
  if (!TextOf(*version, "imageLayoutVersion").starts_with("1.")) {
    return Fail(ErrorCode::kInvalid, "image: a layout of another version");
  }
  const Result<std::string> index = reader.BlobText(oci::kIndexFile, UINT64_MAX);
  if (!index) return Fail(ErrorCode::kInvalid, "image: index.json is not there");
  CORDON_TRY(reader.ReadManifest(*index));
  return reader;
}

std::vector<LayerName> ImageReader::layers() const {
  std::vector<LayerName> names;
  names.reserve(layers_.size());
  for (const Layer& layer : layers_) {
    names.push_back({layer.digest, layer.diff_id, blobs_.at(layer.digest).bytes.size()});
  }
  return names;
}

}  // namespace cordon::archive
