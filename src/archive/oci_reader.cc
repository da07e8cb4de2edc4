#include <sys/mman.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "archive/oci_image.h"
#include "archive/oci_names.h"

namespace cordon::archive {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostFiles = 256;
constexpr size_t kMostLayers = 64;
constexpr size_t kMaxTextBytes = size_t{4} << 20;

Status Refuse(const std::string& what) {
  return Fail(ErrorCode::kInvalid, "image: " + what);
}

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

Json MemberOf(const Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found == object.end() ? Json() : *found;
}

struct Descriptor {
  std::string type;
  std::string digest;
  uint64_t size = 0;
};

std::optional<Descriptor> ReadDescriptor(const Json& value) {
  const Json size = MemberOf(value, "size");
  Descriptor descriptor = {TextOf(value, "mediaType"), TextOf(value, "digest"), 0};
  if (!size.is_number_unsigned() || !descriptor.digest.starts_with("sha256:")) return std::nullopt;
  descriptor.size = size.get<uint64_t>();
  return descriptor;
}

// Reads what is left, for the hash of all of it.
Status Drain(ByteSource& source) {
  std::vector<std::byte> buffer(size_t{64} << 10);
  for (;;) {
    const Result<size_t> got = source.Read(buffer);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return {};
  }
}

// Bytes behind the end of a tar are many only if somebody means it.
class LimitedSource final : public ByteSource {
 public:
  LimitedSource(ByteSource& from, uint64_t most) : from_(from), left_(most) {}
  Result<size_t> Read(std::span<std::byte> to) override {
    Result<size_t> got = from_.Read(to);
    if (!got) return got;
    if (*got > left_)
      return Fail(ErrorCode::kLimit, "image: a layer is larger than its tree may be");
    left_ -= *got;
    return got;
  }

 private:
  ByteSource& from_;
  uint64_t left_;
};

}  // namespace

// Takes the layout's files out of the outer tar.
class ImageReader::Collector final : public EntryVisitor {
 public:
  explicit Collector(std::map<std::string, Blob>* blobs) : blobs_(*blobs) {}

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
    if (!is_kept_) return {};
    file_ = OwnedFd(memfd_create("cordon-blob", MFD_CLOEXEC));
    return file_.valid() ? Status() : SystemError("memfd_create()");
  }

  Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    if (!is_kept_) return {};
    if (offset != at_) return Refuse("a blob with holes: " + name_);
    at_ += bytes.size();
    hash_.Update(bytes);
    FileSink sink(file_.get(), offset, UINT64_MAX);
    return sink.Write(bytes);
  }

  Status End() override {
    if (!is_kept_) return {};
    if (at_ != size_) return Refuse("a blob that was cut: " + name_);
    std::string key = name_;
    if (IsBlob()) {
      key = "sha256:" + Sha256::Hex(hash_.Finish());
      if (oci::kBlobFolder + key.substr(7) != name_) {
        return Fail(ErrorCode::kCorrupt, "image: the contents of " + name_ + " have another hash");
      }
    }
    blobs_[key] = {std::move(file_), size_};
    return {};
  }

 private:
  [[nodiscard]] bool IsBlob() const { return name_.starts_with(oci::kBlobFolder); }

  std::map<std::string, Blob>& blobs_;
  std::string name_;
  OwnedFd file_;
  Sha256 hash_;
  uint64_t at_ = 0;
  uint64_t size_ = 0;
  bool is_kept_ = false;
};

Result<std::string> ImageReader::BlobText(const std::string& digest, uint64_t size) const {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return Fail(ErrorCode::kInvalid, "image: " + digest + " is not there");
  const Blob& blob = found->second;
  if (size != blob.size && size != UINT64_MAX) {
    return Fail(ErrorCode::kCorrupt, "image: " + digest + " has another size");
  }
  if (blob.size > kMaxTextBytes)
    return Fail(ErrorCode::kLimit, "image: a description of more than 4 MiB");
  std::string text(blob.size, '\0');
  FileSource source(blob.fd.get(), 0, blob.size);
  for (size_t done = 0; done < text.size();) {
    const Result<size_t> got = source.Read(std::as_writable_bytes(std::span(text)).subspan(done));
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return Fail(ErrorCode::kCorrupt, "image: a blob was cut");
    done += *got;
  }
  return text;
}

Status ImageReader::ReadManifest(const std::string& index) {
  const Json root = Json::parse(index, nullptr, /*allow_exceptions=*/false);
  const Json manifests = MemberOf(root, "manifests");
  if (!manifests.is_array() || manifests.size() != 1)
    return Refuse("index.json names no image, or several");
  const std::optional<Descriptor> described = ReadDescriptor(manifests[0]);
  if (!described || described->type != oci::kManifestType)
    return Refuse("index.json names no image manifest");
  const Result<std::string> text = BlobText(described->digest, described->size);
  if (!text) return std::unexpected(text.error());
  const Json manifest = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const std::optional<Descriptor> config = ReadDescriptor(MemberOf(manifest, "config"));
  const Json layers = MemberOf(manifest, "layers");
  if (!config || config->type != oci::kConfigType || !layers.is_array() ||
      layers.size() > kMostLayers) {
    return Refuse("its manifest has no configuration, or no layers");
  }
  for (const Json& value : layers) {
    const std::optional<Descriptor> layer = ReadDescriptor(value);
    const auto blob = layer ? blobs_.find(layer->digest) : blobs_.end();
    if (blob == blobs_.end() || blob->second.size != layer->size) {
      return Refuse("a layer is not there, or has another size");
    }
    Layer::Form form = Layer::Form::kPlain;
    if (layer->type == oci::kZstdLayerType) {
      form = Layer::Form::kZstd;
    } else if (layer->type == oci::kGzipLayerType) {
      form = Layer::Form::kGzip;
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
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const Json diff_ids = MemberOf(MemberOf(root, "rootfs"), "diff_ids");
  if (!diff_ids.is_array() || diff_ids.size() != layers_.size()) {
    return Refuse("its configuration does not fit its layers");
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!diff_ids[i].is_string()) return Refuse("its configuration does not fit its layers");
    layers_[i].diff_id = diff_ids[i].get<std::string>();
  }
  const Json config = MemberOf(root, "config");
  config_.directory = TextOf(config, "WorkingDir");
  for (const Json& variable : MemberOf(config, "Env")) {
    if (variable.is_string()) config_.environment.push_back(variable.get<std::string>());
  }
  const Json session = MemberOf(root, oci::kSession);
  if (session.is_object())
    config_.session = session.dump(-1, ' ', false, Json::error_handler_t::replace);
  return {};
}

Result<ImageReader> ImageReader::Open(int fd, uint64_t size, uint64_t most_bytes) {
  ImageReader reader;
  FileSource source(fd, 0, size);
  Collector collector(&reader.blobs_);
  Skipped skipped;
  CORDON_TRY(ReadTar(source, Compression::kAny, {kMostFiles, most_bytes}, collector, &skipped));
  const Result<std::string> layout = reader.BlobText(oci::kLayoutFile, UINT64_MAX);
  if (!layout) return Fail(ErrorCode::kInvalid, "no image: it has no file oci-layout");
  const Json version = Json::parse(*layout, nullptr, /*allow_exceptions=*/false);
  if (!TextOf(version, "imageLayoutVersion").starts_with("1.")) {
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
    names.push_back({layer.digest, layer.diff_id, blobs_.at(layer.digest).size});
  }
  return names;
}

Status ImageReader::Read(const TreeLimits& limits, EntryVisitor& visitor, Skipped* skipped) const {
  for (const Layer& layer : layers_) {
    const Blob& blob = blobs_.at(layer.digest);
    FileSource file(blob.fd.get(), 0, blob.size);
    if (layer.form == Layer::Form::kGzip) {
      // Its compressed bytes had the right hash.
      CORDON_TRY(ReadTar(file, Compression::kAny, limits, visitor, skipped));
      continue;
    }
    ZstdSource expanded(file);
    ByteSource& plain =
        layer.form == Layer::Form::kZstd ? static_cast<ByteSource&>(expanded) : file;
    constexpr uint64_t kHeaderBytes = 16 * 1024;  // of an entry, with its names
    LimitedSource limited(plain, limits.max_bytes + limits.max_entries * kHeaderBytes);
    HashingSource hashed(limited);
    CORDON_TRY(ReadTar(hashed, Compression::kNone, limits, visitor, skipped));
    CORDON_TRY(Drain(hashed));
    if (hashed.TakeDigest() != layer.diff_id) {
      return Fail(ErrorCode::kCorrupt,
                  "image: a layer has another hash than its configuration says");
    }
  }
  return {};
}

}  // namespace cordon::archive
