#include <fcntl.h>

#include <vector>

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

class MemorySink final : public ByteSink {
 public:
  Status Write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// What is in the file goes on to its disk, if it has one, while more comes: an fsync later waits
// for less.
class DiskSink final : public ByteSink {
 public:
  DiskSink(int fd, FileSink& file) : fd_(fd), file_(file), sent_(file.offset()) {}
  Status Write(std::span<const std::byte> bytes) override {
    constexpr uint64_t kAtOnce = uint64_t{2} << 20;
    CORDON_TRY(file_.Write(bytes));
    const uint64_t waiting = file_.offset() - sent_;
    if (waiting < kAtOnce) return {};
    (void)sync_file_range(fd_, static_cast<off64_t>(sent_), static_cast<off64_t>(waiting),
                          SYNC_FILE_RANGE_WRITE);
    sent_ = file_.offset();
    return {};
  }

 private:
  int fd_;
  FileSink& file_;
  uint64_t sent_;
};

// The image up to its layer's first byte. Of every layer it has as many bytes.
Result<std::vector<std::byte>> WriteHead(const std::string& layout, const LayerName& layer) {
  MemorySink head;
  TarWriter tar(head);
  CORDON_TRY(AddText(tar, oci::kLayoutFile, layout));
  CORDON_TRY(AddFolder(tar, "blobs"));
  CORDON_TRY(AddFolder(tar, "blobs/sha256"));
  CORDON_TRY(tar.Add({Kind::kFile, BlobPath(layer.digest), kFileMode, 0, 0, layer.size, 0, {}}));
  tar.Abandon();
  return head.bytes();
}

Status WriteTail(ByteSink& sink, const ImageTexts& texts) {
  TarWriter tar(sink);
  CORDON_TRY(AddText(tar, BlobPath(texts.manifest_digest), texts.manifest));
  CORDON_TRY(AddText(tar, BlobPath(texts.config_digest), texts.config));
  CORDON_TRY(AddText(tar, oci::kIndexFile, texts.index));
  return tar.Finish();
}

}  // namespace

// The layer is written where it belongs, before it is known what is in front of it: it is large.
Result<WrittenImage> WriteImage(int fd, uint64_t most_bytes, const ImageConfig& config,
                                const std::function<Status(TarWriter&)>& fill) {
  constexpr uint64_t kTarBlock = 512;
  const std::string layout = LayoutText();
  const Result<std::vector<std::byte>> place =
      WriteHead(layout, {"sha256:" + std::string(64, '0'), {}, 0});
  if (!place) return std::unexpected(place.error());
  FileSink file(fd, place->size(), most_bytes);
  DiskSink disk(fd, file);
  const Result<LayerName> layer = WriteLayerTo(disk, fill);
  if (!layer) return std::unexpected(layer.error());
  const Result<std::vector<std::byte>> head = WriteHead(layout, *layer);
  if (!head) return std::unexpected(head.error());
  if (head->size() != place->size()) {
    return Fail(ErrorCode::kLimit, "a layer of 8 GiB or more");
  }
  FileSink front(fd, 0, most_bytes);
  CORDON_TRY(front.Write(*head));
  const std::vector<std::byte> padding((kTarBlock - layer->size % kTarBlock) % kTarBlock);
  CORDON_TRY(file.Write(padding));
  const Result<ImageTexts> texts = DescribeImage(config, std::span(&*layer, 1));
  if (!texts) return std::unexpected(texts.error());
  CORDON_TRY(WriteTail(file, *texts));
  return WrittenImage{file.offset(), texts->manifest_digest};
}

}  // namespace cordon::archive
