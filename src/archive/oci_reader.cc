#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "archive/oci_image.h"
#include "archive/oci_names.h"
#include "base/blocked_signals.h"
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

// What somebody still writes, to be read as far as it is there. Private: a shared mapping would
// keep the file from being sealed.
class BytesInWork {
 public:
  static Result<BytesInWork> Map(int fd, uint64_t size) {
    void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return SystemError("mmap(layer)");
    return BytesInWork({static_cast<const std::byte*>(at), size});
  }
  BytesInWork(BytesInWork&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  BytesInWork& operator=(BytesInWork&&) = delete;
  ~BytesInWork() {
    if (!bytes_.empty()) (void)munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit BytesInWork(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

// A blob's hash against its name.
Status HoldBlob(const std::string& name, const std::string& digest) {
  if (name == digest) return {};
  return Fail(ErrorCode::kCorrupt, std::string("image: the contents of ") + oci::kBlobFolder +
                                       name.substr(name.find(':') + 1) + " have another hash");
}

}  // namespace

// Takes the layout's files out of the outer tar.
class ImageReader::Collector final : public EntryVisitor {
 public:
  Collector(int fd, std::span<const std::byte> file, std::map<std::string, Blob>* blobs)
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
    blob_ = Blob();
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
      blob_ = Blob();
      blob_.is_unverified = is_unverified;
      blob_.own = std::move(*memory);
    }
    FileSink sink(blob_.own.get(), offset, UINT64_MAX);
    return sink.Write(bytes);
  }

  int fd_;
  std::span<const std::byte> file_;
  std::map<std::string, Blob>& blobs_;
  std::string name_;
  Blob blob_;
  Sha256 hash_;
  uint64_t at_ = 0;
  uint64_t size_ = 0;
  bool is_kept_ = false;
};

Result<std::string> ImageReader::BlobText(const std::string& digest, uint64_t size) const {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return Fail(ErrorCode::kInvalid, "image: " + digest + " is not there");
  const Blob& blob = found->second;
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

// Hashes what Open left, by a thread of its own, while somebody else reads what is in it.
class ImageReader::BlobsBeside {
 public:
  explicit BlobsBeside(const std::map<std::string, Blob>& blobs) : blobs_(blobs) {
    const bool has_work =
        std::ranges::any_of(blobs_, [](const auto& one) { return one.second.is_unverified; });
    if (has_work) Start();
  }
  ~BlobsBeside() { Join(); }
  BlobsBeside(const BlobsBeside&) = delete;
  BlobsBeside& operator=(const BlobsBeside&) = delete;

  Status Finish() {
    if (has_thread_) {
      Join();
    } else {
      Hash();
    }
    return result_;
  }

 private:
  void Hash() {
    for (const auto& [name, blob] : blobs_) {
      if (!blob.is_unverified || !result_) continue;
      Sha256 hash;
      hash.Update(blob.bytes);
      result_ = HoldBlob(name, "sha256:" + Sha256::Hex(hash.Finish()));
    }
  }

  void Start() {
    const BlockedSignals blocked;
    try {
      thread_ = std::thread([this] { Hash(); });
      has_thread_ = true;
    } catch (const std::system_error&) {
      has_thread_ = false;
    }
  }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }

  const std::map<std::string, Blob>& blobs_;
  Status result_;
  bool has_thread_ = false;
  std::thread thread_;
};

// Hashes a tar while it is taken out, as far as it is there.
class ImageReader::PlainHash final : public RawVisitor {
 public:
  explicit PlainHash(std::span<const std::byte> room) : room_(room) {}
  Status Begin(const RawEntry& /*entry*/) override { return Unasked(); }
  Status Data(uint64_t /*offset*/, std::span<const std::byte> /*bytes*/) override {
    return Unasked();
  }
  Status End() override { return Unasked(); }
  Status Alive(uint64_t bytes) override {
    if (bytes < done_ || bytes > room_.size()) return Unasked();
    hash_.Update(room_.subspan(done_, bytes - done_));
    done_ = bytes;
    return {};
  }
  [[nodiscard]] uint64_t size() const { return done_; }
  [[nodiscard]] std::string TakeDigest() { return "sha256:" + Sha256::Hex(hash_.Finish()); }

 private:
  static Status Unasked() {
    return Fail(ErrorCode::kCorrupt, "archive: its reader says what it was not asked");
  }

  std::span<const std::byte> room_;
  Sha256 hash_;
  uint64_t done_ = 0;
};

// So that it is expanded once, and parsed as often as somebody wants, without a copy. A layer for
// which there is no room is left as it is.
Status ImageReader::TakeOut(const TreeLimits& limits, Layer* layer) const {
  constexpr uint64_t kHeadroom = uint64_t{64} << 20;  // headers, padding
  constexpr uint64_t kMostKept = uint64_t{4} << 30;
  const uint64_t most = std::min(kMostKept, limits.max_bytes) + kHeadroom;
  const uint64_t room = most - std::min(most, plain_bytes_);
  if (room == 0) return {};
  Blob plain;
  Result<OwnedFd> memory = NewMemoryFile("cordon-layer");
  if (!memory) return std::unexpected(memory.error());
  plain.own = std::move(*memory);
  plain.fd = plain.own.get();
  if (ftruncate(plain.fd, static_cast<off_t>(room)) != 0) return SystemError("ftruncate()");
  {
    const Result<BytesInWork> bytes = BytesInWork::Map(plain.fd, room);
    if (!bytes) return std::unexpected(bytes.error());
    PlainHash visitor(bytes->bytes());
    const Blob& packed = blobs_.at(layer->digest);
    const Result<std::string> read = tars_->Read({.bytes = packed.bytes,
                                                  .fd = packed.fd,
                                                  .offset = packed.offset,
                                                  .form = layer->form,
                                                  .wanted = ReadJob::Wanted::kTar,
                                                  .to = {plain.fd, room}},
                                                 visitor);
    if (!read && read.error().code == ErrorCode::kLimit) return {};
    if (!read) return std::unexpected(read.error());
    CORDON_TRY(Hold(*layer, visitor.TakeDigest()));
    plain_bytes_ += visitor.size();
    plain.bytes = bytes->bytes().first(visitor.size());
  }
  CORDON_TRY(SealMemoryFile(plain.fd));
  Result<SealedBytes> sealed = SealedBytes::Map(plain.fd, plain.bytes.size());
  if (!sealed) return std::unexpected(sealed.error());
  plain.bytes = sealed->bytes();
  plain.mapped = std::make_unique<SealedBytes>(std::move(*sealed));
  layer->plain = std::move(plain);
  return {};
}

Status ImageReader::Hold(const Layer& layer, const std::string& digest) {
  if (digest == layer.diff_id) return {};
  return Fail(ErrorCode::kCorrupt, "image: a layer has another hash than its configuration says");
}

Status ImageReader::Read(ReadJob::Wanted wanted, const TreeLimits& limits, EntryVisitor& visitor,
                         Skipped* skipped) const {
  if (is_verified_) return ReadLayers(wanted, limits, visitor, skipped);
  BlobsBeside beside(blobs_);
  const Status read = ReadLayers(wanted, limits, visitor, skipped);
  // First, because what was damaged may say anything.
  CORDON_TRY(beside.Finish());
  CORDON_TRY(read);
  is_verified_ = true;
  return {};
}

Status ImageReader::ReadLayers(ReadJob::Wanted wanted, const TreeLimits& limits,
                               EntryVisitor& visitor, Skipped* skipped) const {
  constexpr uint64_t kHeaderBytes = 16 * 1024;  // of an entry, with its names
  for (Layer& layer : layers_) {
    if (!is_verified_ && layer.form == ReadJob::Form::kZstd) CORDON_TRY(TakeOut(limits, &layer));
    const Blob& blob = layer.plain ? *layer.plain : blobs_.at(layer.digest);
    const ReadJob::Form form = layer.plain ? ReadJob::Form::kPlain : layer.form;
    // Where it is gzip, its compressed bytes had the right hash.
    const bool hashes = !is_verified_ && !layer.plain && form != ReadJob::Form::kAny;
    const Result<std::string> diff_id =
        ReadTree(*tars_,
                 {.bytes = blob.bytes,
                  .fd = blob.fd,
                  .offset = blob.offset,
                  .form = form,
                  .wanted = wanted,
                  .most_plain_bytes = limits.max_bytes + limits.max_entries * kHeaderBytes,
                  .hashes = hashes},
                 limits, visitor, skipped);
    if (!diff_id) return std::unexpected(diff_id.error());
    if (hashes) CORDON_TRY(Hold(layer, *diff_id));
  }
  return {};
}

}  // namespace cordon::archive
