#include "live/persistence.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "archive/unpacker_process.h"
#include "base/memory_file.h"

namespace cordon::live {
namespace {

constexpr size_t kMostLayers = 32;
// Less than this is never worth to be written anew.
constexpr uint64_t kSmallBase = uint64_t{1} << 20;
// Of an image, beside its layers.
constexpr uint64_t kOtherBlobs = uint64_t{16} << 20;

uint64_t BytesOf(const std::vector<archive::LayerName>& layers) {
  uint64_t bytes = 0;
  for (const archive::LayerName& layer : layers) bytes += layer.size;
  return bytes;
}

// Who was killed while a layer was written has left it beside the image, too.
uint64_t MostLoaded(const backend::SandboxOptions& options) {
  return 3 * MostArchiveBytes(options);
}

}  // namespace

Result<std::unique_ptr<Persistence>> Persistence::Open(const std::string& folder,
                                                       backend::Keeper& keeper,
                                                       const backend::SandboxOptions& options) {
  Result<archive::ImageFolder> opened = archive::ImageFolder::Open(folder);
  if (!opened) return std::unexpected(opened.error());
  return std::unique_ptr<Persistence>(new Persistence(std::move(*opened), keeper, options));
}

bool Persistence::WantsNewBase() const {
  const auto& layers = folder_.layers();
  if (!seen_ || layers.empty() || layers.size() >= kMostLayers) return true;
  const uint64_t added = BytesOf(layers) - layers.front().size;
  return added > 2 * std::max(layers.front().size, kSmallBase);
}

Result<Persistence::NewLayer> Persistence::WriteNewLayer(const SeenTree& since) const {
  NewLayer made;
  Result<archive::Layer> layer =
      archive::WriteLayer(MostArchiveBytes(options_), [&](archive::TarWriter& tar) -> Status {
        const auto report = ExportChanges(keeper_, since, &made.seen, &tar);
        if (!report) return std::unexpected(report.error());
        made.entries = report->entries;
        return {};
      });
  if (!layer) return std::unexpected(layer.error());
  made.layer = std::move(*layer);
  return made;
}

Result<bool> Persistence::Save(const std::optional<archive::ImageConfig>& config) {
  const archive::ImageConfig wanted = config ? *config : imported_.value_or(config_);
  const SeenTree nothing;
  bool is_base = WantsNewBase();
  Result<NewLayer> made = WriteNewLayer(is_base ? nothing : *seen_);
  if (!made) return std::unexpected(made.error());
  if (!is_base && made->entries == 0 && wanted == config_) return false;
  // All layers together are read into memory when they are loaded.
  if (!is_base && BytesOf(folder_.layers()) + made->layer.name.size + kOtherBlobs >
                      MostArchiveBytes(options_)) {
    is_base = true;
    made = WriteNewLayer(nothing);
    if (!made) return std::unexpected(made.error());
  }
  std::vector<archive::LayerName> layers;
  if (!is_base) layers = folder_.layers();
  const bool brings_files = is_base || made->entries > 0;
  if (brings_files) layers.push_back(made->layer.name);
  CORDON_TRY(folder_.Commit(std::move(layers), brings_files ? &made->layer : nullptr, wanted));
  config_ = wanted;
  imported_.reset();
  seen_ = std::move(made->seen);
  return true;
}

Result<std::optional<Persistence::Loaded>> Persistence::Load() {
  if (!folder_.HasImage()) return std::nullopt;
  const Result<OwnedFd> tar = NewMemoryFile("cordon-state");
  if (!tar) return std::unexpected(tar.error());
  const Result<uint64_t> size = folder_.Pack(tar->get(), MostLoaded(options_));
  if (!size) return std::unexpected(size.error());
  CORDON_TRY(SealMemoryFile(tar->get()));
  const archive::UnpackerProcess reader(options_.unpacker_path);
  const Result<archive::ImageReader> image =
      archive::ImageReader::Open(tar->get(), *size, MostLoaded(options_), reader);
  if (!image) return std::unexpected(image.error());
  seen_.reset();
  Loaded loaded;
  Result<TransferReport> report =
      ImportImage(keeper_, *image, ImportMode::kReplace, LimitsOf(options_));
  if (!report) return std::unexpected(report.error());
  loaded.report = std::move(*report);
  loaded.config = image->config();
  folder_.Know(image->layers());
  config_ = loaded.config;
  imported_.reset();
  // What the sandbox has of its own and could not lose is part of the next save.
  SeenTree now;
  if (loaded.report.skipped.count() == 0 && ExportChanges(keeper_, {}, &now, nullptr)) {
    seen_ = std::move(now);
  }
  return loaded;
}

Status Persistence::Clear() {
  CORDON_TRY(folder_.Clear());
  seen_.reset();
  return {};
}

}  // namespace cordon::live
