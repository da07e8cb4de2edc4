#include <sys/mman.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "archive/oci_image.h"
#include "archive/oci_names.h"

namespace cordon::archive {
namespace {

using Json = nlohmann::json;

constexpr size_t kPiece = 1 << 20;
constexpr uint32_t kFileMode = 0644;
constexpr uint32_t kFolderMode = 0755;

std::string HexOf(const std::string& digest) {
  return digest.substr(digest.find(':') + 1);
}

std::string DigestOf(const std::string& text) {
  Sha256 hash;
  hash.Update(text);
  return "sha256:" + Sha256::Hex(hash.Finish());
}

// Names of guests are bytes; JSON is not.
std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Layer {
  OwnedFd fd;
  uint64_t size = 0;
  std::string digest;
  std::string diff_id;
};

Result<Layer> WriteLayer(uint64_t most_bytes, const std::function<Status(TarWriter&)>& fill) {
  Layer layer;
  layer.fd = OwnedFd(memfd_create("cordon-layer", MFD_CLOEXEC));
  if (!layer.fd.valid()) return SystemError("memfd_create()");
  FileSink file(layer.fd.get(), 0, most_bytes);
  HashingSink packed(file);
  ZstdSink compressor(packed);
  HashingSink plain(compressor);
  TarWriter tar(plain);
  CORDON_TRY(fill(tar));
  CORDON_TRY(tar.Finish());
  CORDON_TRY(compressor.Finish());
  layer.size = packed.size();
  layer.digest = packed.TakeDigest();
  layer.diff_id = plain.TakeDigest();
  return layer;
}

Status AddFolder(TarWriter& tar, const std::string& path) {
  return tar.Add({Kind::kDirectory, path, kFolderMode, 0, 0, 0, 0, {}});
}

Status AddText(TarWriter& tar, const std::string& path, const std::string& text) {
  CORDON_TRY(tar.Add({Kind::kFile, path, kFileMode, 0, 0, text.size(), 0, {}}));
  return tar.Data(std::as_bytes(std::span(text)));
}

Status AddLayer(TarWriter& tar, const Layer& layer) {
  CORDON_TRY(tar.Add(
      {Kind::kFile, oci::kBlobFolder + HexOf(layer.digest), kFileMode, 0, 0, layer.size, 0, {}}));
  FileSource source(layer.fd.get(), 0, layer.size);
  std::vector<std::byte> piece(kPiece);
  for (;;) {
    const Result<size_t> got = source.Read(piece);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return {};
    CORDON_TRY(tar.Data(std::span(piece).first(*got)));
  }
}

Json Descriptor(const char* type, const std::string& digest, uint64_t size) {
  return {{"mediaType", type}, {"digest", digest}, {"size", size}};
}

std::string ConfigText(const ImageConfig& config, const std::string& diff_id) {
  Json text = {
      {"architecture", "wasm"},
      {"os", "linux"},
      {"config",
       {{"User", "1000:1000"}, {"Env", config.environment}, {"WorkingDir", config.directory}}},
      {"rootfs", {{"type", "layers"}, {"diff_ids", {diff_id}}}},
      {"history", {{{"created_by", "cordon export"}}}},
  };
  if (!config.session.empty()) {
    text[oci::kSession] = Json::parse(config.session, nullptr, /*allow_exceptions=*/false);
  }
  return Dump(text);
}

}  // namespace

Result<WrittenImage> WriteImage(int fd, uint64_t most_bytes, const ImageConfig& config,
                                const std::function<Status(TarWriter&)>& fill) {
  const Result<Layer> layer = WriteLayer(most_bytes, fill);
  if (!layer) return std::unexpected(layer.error());
  const std::string config_text = ConfigText(config, layer->diff_id);
  if (config_text.size() > kMaxConfigBytes) {
    return Fail(ErrorCode::kLimit, "the session's state is larger than 4 MiB");
  }
  const std::string config_digest = DigestOf(config_text);
  const std::string manifest =
      Dump({{"schemaVersion", 2},
            {"mediaType", oci::kManifestType},
            {"config", Descriptor(oci::kConfigType, config_digest, config_text.size())},
            {"layers", {Descriptor(oci::kZstdLayerType, layer->digest, layer->size)}}});
  WrittenImage image;
  image.digest = DigestOf(manifest);
  Json described = Descriptor(oci::kManifestType, image.digest, manifest.size());
  described["annotations"] = {{"org.opencontainers.image.ref.name", "latest"}};
  const std::string index = Dump({{"schemaVersion", 2},
                                  {"mediaType", oci::kIndexType},
                                  {"manifests", {std::move(described)}}});
  FileSink file(fd, 0, most_bytes);
  TarWriter tar(file);
  CORDON_TRY(AddText(tar, oci::kLayoutFile, Dump({{"imageLayoutVersion", "1.0.0"}})));
  CORDON_TRY(AddText(tar, oci::kIndexFile, index));
  CORDON_TRY(AddFolder(tar, "blobs"));
  CORDON_TRY(AddFolder(tar, "blobs/sha256"));
  CORDON_TRY(AddText(tar, oci::kBlobFolder + HexOf(image.digest), manifest));
  CORDON_TRY(AddText(tar, oci::kBlobFolder + HexOf(config_digest), config_text));
  CORDON_TRY(AddLayer(tar, *layer));
  CORDON_TRY(tar.Finish());
  image.size = file.offset();
  return image;
}

}  // namespace cordon::archive
