// A description in an image: the first byte says which of them the bytes are, all others are right
// and every hash fits. It is refused, or what was read of it keeps within its bounds and can be
// written again.

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "archive/oci_image.h"
#include "archive/oci_names.h"
#include "archive/tar.h"
#include "base/json_bounds.h"
#include "base/memory_file.h"
#include "base/sha256.h"

namespace {

using namespace cordon::archive;  // NOLINT(google-build-using-namespace)

class Memory final : public ByteSink {
 public:
  cordon::Status Write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
    return {};
  }
  std::string bytes;
};

std::string DigestOf(std::string_view text) {
  cordon::Sha256 hash;
  hash.Update(std::as_bytes(std::span(text)));
  return cordon::Sha256::Hex(hash.Finish());
}

std::string Describe(const char* type, std::string_view text) {
  return std::string(R"({"mediaType":")") + type + R"(","digest":"sha256:)" + DigestOf(text) +
         R"(","size":)" + std::to_string(text.size()) + "}";
}

void Put(TarWriter& tar, const std::string& path, std::string_view text) {
  const Entry entry = {Kind::kFile, path, 0644, 0, 0, text.size(), 0, {}};
  if (!tar.Add(entry) || !tar.Data(std::as_bytes(std::span(text)))) std::abort();
}

std::string EmptyLayer() {
  Memory memory;
  TarWriter tar(memory);
  if (!tar.Finish()) std::abort();
  return memory.bytes;
}

// "@" stands for what belongs there: bytes alone never find a hash.
std::string Filled(std::string_view text, const std::string& filling) {
  std::string filled;
  for (const char c : text) filled += c == '@' ? filling : std::string(1, c);
  return filled;
}

std::string ImageOf(uint8_t which, std::string_view fuzzed) {
  const std::string layer = EmptyLayer();
  const std::string diff_id = "sha256:" + DigestOf(layer);
  const std::string config =
      which == 0 ? Filled(fuzzed, diff_id) : R"({"rootfs":{"diff_ids":[")" + diff_id + R"("]}})";
  const std::string layers = R"("layers":[)" + Describe(oci::kLayerType, layer) + "]";
  const std::string parts = R"("config":)" + Describe(oci::kConfigType, config) + "," + layers;
  const std::string manifest = which == 1 ? Filled(fuzzed, parts) : "{" + parts + "}";
  const std::string manifests = R"("manifests":[)" + Describe(oci::kManifestType, manifest) + "]";
  const std::string index = which == 2 ? Filled(fuzzed, manifests) : "{" + manifests + "}";
  Memory memory;
  TarWriter tar(memory);
  Put(tar, oci::kLayoutFile,
      which == 3 ? std::string(fuzzed) : R"({"imageLayoutVersion":"1.0.0"})");
  Put(tar, oci::kIndexFile, index);
  for (const std::string& blob : {layer, config, manifest}) {
    Put(tar, oci::kBlobFolder + DigestOf(blob), blob);
  }
  if (!tar.Finish()) std::abort();
  return memory.bytes;
}

cordon::OwnedFd FileOf(std::string_view bytes) {
  cordon::Result<cordon::OwnedFd> fd = cordon::MemoryFileWith("fuzz", bytes);
  if (!fd || !cordon::SealMemoryFile(fd->get())) std::abort();
  return std::move(*fd);
}

// What was read, written by us and read again, is the same.
void WriteAgain(const ImageConfig& config) {
  const cordon::Result<cordon::OwnedFd> fd = cordon::NewMemoryFile("fuzz");
  const auto written = WriteImage(fd->get(), uint64_t{64} << 20, config,
                                  [](TarWriter& /*tar*/) { return cordon::Status(); });
  if (!written) return;
  if (!cordon::SealMemoryFile(fd->get())) std::abort();
  const OwnTarReader reader;
  const auto again = ImageReader::Open(fd->get(), written->size, uint64_t{64} << 20, reader);
  if (!again || again->config().session != config.session) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string image =
      ImageOf(data[0] % 4, std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  const cordon::OwnedFd fd = FileOf(image);
  const OwnTarReader reader;
  const auto read = ImageReader::Open(fd.get(), image.size(), uint64_t{64} << 20, reader);
  if (!read) return 0;
  if (read->layers().size() > 64) std::abort();
  const std::string& session = read->config().session;
  if (!session.empty() && (session[0] != '{' || !cordon::IsWithin(session, {.levels = 32}))) {
    std::abort();
  }
  if (!session.empty()) WriteAgain(read->config());
  return 0;
}
