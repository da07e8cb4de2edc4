#include "archive/oci_parts.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "archive/oci_names.h"
#include "archive/zstd_sink.h"
#include "base/memory_file.h"

namespace cordon::archive {
namespace {

using Json = nlohmann::json;

constexpr size_t kPiece = 1 << 20;
constexpr uint32_t kFileMode = 0644;

std::string DigestOf(const std::string& text) {
  Sha256 hash;
  hash.Update(text);
  return "sha256:" + Sha256::Hex(hash.Finish());
}

// Names of guests are bytes; JSON is not.
std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Descriptor(const char* type, const std::string& digest, uint64_t size) {
  return {{"mediaType", type}, {"digest", digest}, {"size", size}};
}

std::string ConfigText(const ImageConfig& config, std::span<const LayerName> layers) {
  Json diff_ids = Json::array();
  Json history = Json::array();
  for (const LayerName& layer : layers) {
    diff_ids.push_back(layer.diff_id);
    history.push_back({{"created_by", "cordon export"}});
  }
  Json text = {
      {"architecture", "wasm"},
      {"os", "linux"},
      {"config",
       {{"User", "1000:1000"}, {"Env", config.environment}, {"WorkingDir", config.directory}}},
      {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}},
      {"history", std::move(history)},
  };
  if (!config.session.empty()) {
    text[oci::kSession] = Json::parse(config.session, nullptr, /*allow_exceptions=*/false);
  }
  return Dump(text);
}

}  // namespace

Result<LayerName> WriteLayerTo(ByteSink& sink, const std::function<Status(TarWriter&)>& fill) {
  HashingSink packed(sink);
  ZstdSink compressor(packed);
  HashingSink plain(compressor);
  TarWriter tar(plain);
  CORDON_TRY(fill(tar));
  CORDON_TRY(tar.Finish());
  CORDON_TRY(compressor.Finish());
  return LayerName{packed.TakeDigest(), plain.TakeDigest(), packed.size()};
}

Result<Layer> WriteLayer(uint64_t most_bytes, const std::function<Status(TarWriter&)>& fill) {
  Result<OwnedFd> fd = NewMemoryFile("cordon-layer");
  if (!fd) return std::unexpected(fd.error());
  FileSink file(fd->get(), 0, most_bytes);
  Result<LayerName> name = WriteLayerTo(file, fill);
  if (!name) return std::unexpected(name.error());
  return Layer{std::move(*fd), std::move(*name)};
}

std::string LayoutText() {
  return Dump({{"imageLayoutVersion", "1.0.0"}});
}

Result<ImageTexts> DescribeImage(const ImageConfig& config, std::span<const LayerName> layers) {
  ImageTexts texts;
  texts.layout = LayoutText();
  texts.config = ConfigText(config, layers);
  if (texts.config.size() > kMaxConfigBytes) {
    return Fail(ErrorCode::kLimit, "the session's state is larger than 4 MiB");
  }
  texts.config_digest = DigestOf(texts.config);
  Json described = Json::array();
  for (const LayerName& layer : layers) {
    described.push_back(Descriptor(oci::kZstdLayerType, layer.digest, layer.size));
  }
  texts.manifest =
      Dump({{"schemaVersion", 2},
            {"mediaType", oci::kManifestType},
            {"config", Descriptor(oci::kConfigType, texts.config_digest, texts.config.size())},
            {"layers", std::move(described)}});
  texts.manifest_digest = DigestOf(texts.manifest);
  Json manifest = Descriptor(oci::kManifestType, texts.manifest_digest, texts.manifest.size());
  manifest["annotations"] = {{"org.opencontainers.image.ref.name", "latest"}};
  texts.index = Dump({{"schemaVersion", 2},
                      {"mediaType", oci::kIndexType},
                      {"manifests", Json::array({std::move(manifest)})}});
  return texts;
}

Status AddFile(TarWriter& tar, const std::string& path, int fd, uint64_t size) {
  CORDON_TRY(tar.Add({Kind::kFile, path, kFileMode, 0, 0, size, 0, {}}));
  FileSource source(fd, 0, size);
  std::vector<std::byte> piece(kPiece);
  for (;;) {
    const Result<size_t> got = source.Read(piece);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return {};
    CORDON_TRY(tar.Data(std::span(piece).first(*got)));
  }
}

std::string BlobName(const std::string& digest) {
  return digest.substr(digest.find(':') + 1);
}

std::string BlobPath(const std::string& digest) {
  return oci::kBlobFolder + BlobName(digest);
}

}  // namespace cordon::archive
