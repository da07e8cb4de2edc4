#include "archive/oci_image.h"
#include "archive/oci_names.h"
#include "archive/oci_parts.h"

namespace cordon::archive {
namespace {

constexpr uint32_t kFileMode = 0644;
constexpr uint32_t kFolderMode = 0755;

Status AddFolder(TarWriter& tar, const std::string& path) {
  return tar.Add({Kind::kDirectory, path, kFolderMode, 0, 0, 0, 0, {}});
}

Status AddText(TarWriter& tar, const std::string& path, const std::string& text) {
  CORDON_TRY(tar.Add({Kind::kFile, path, kFileMode, 0, 0, text.size(), 0, {}}));
  return tar.Data(std::as_bytes(std::span(text)));
}

}  // namespace

Result<WrittenImage> WriteImage(int fd, uint64_t most_bytes, const ImageConfig& config,
                                const std::function<Status(TarWriter&)>& fill) {
  const Result<Layer> layer = WriteLayer(most_bytes, fill);
  if (!layer) return std::unexpected(layer.error());
  const Result<ImageTexts> texts = DescribeImage(config, std::span(&layer->name, 1));
  if (!texts) return std::unexpected(texts.error());
  FileSink file(fd, 0, most_bytes);
  TarWriter tar(file);
  CORDON_TRY(AddText(tar, oci::kLayoutFile, texts->layout));
  CORDON_TRY(AddText(tar, oci::kIndexFile, texts->index));
  CORDON_TRY(AddFolder(tar, "blobs"));
  CORDON_TRY(AddFolder(tar, "blobs/sha256"));
  CORDON_TRY(AddText(tar, BlobPath(texts->manifest_digest), texts->manifest));
  CORDON_TRY(AddText(tar, BlobPath(texts->config_digest), texts->config));
  CORDON_TRY(AddFile(tar, BlobPath(layer->name.digest), layer->fd.get(), layer->name.size));
  CORDON_TRY(tar.Finish());
  return WrittenImage{file.offset(), texts->manifest_digest};
}

}  // namespace cordon::archive
