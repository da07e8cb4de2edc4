// cordon-unpack: reads one archive of others, locked in. Started by archive/unpacker_process, with
// an empty environment.
//
//   cordon-unpack OFFSET BYTES FORM WANTED MOST HASHES ROOM    descriptor 3: where the archive is
//
// FORM and WANTED are numbers of ReadJob; with a ROOM, that many bytes have it at descriptor 4.
// Frames of archive/entry_frame.h go to standard output.

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <optional>
#include <string_view>

#include "archive/entry_frame.h"
#include "archive/libarchive_locale.h"
#include "archive/tar.h"
#include "archive/unpacker/lock_in.h"

namespace cordon::archive {
namespace {

constexpr int kArchive = 3;
constexpr int kRoom = 4;

class Pipe final : public FrameSink {
 public:
  Status Write(const FrameHeader& header, std::span<const std::byte> first,
               std::span<const std::byte> second) override {
    const auto part = [](const void* at, size_t size) {
      return iovec{const_cast<void*>(at), size};
    };
    std::array<iovec, 3> parts = {part(&header, sizeof header), part(first.data(), first.size()),
                                  part(second.data(), second.size())};
    size_t left = sizeof header + first.size() + second.size();
    while (left > 0) {
      const ssize_t put = writev(STDOUT_FILENO, parts.data(), parts.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return SystemError("writev()");
      left -= static_cast<size_t>(put);
      auto done = static_cast<size_t>(put);
      for (iovec& one : parts) {
        const size_t count = std::min(done, one.iov_len);
        one.iov_base = static_cast<char*>(one.iov_base) + count;
        one.iov_len -= count;
        done -= count;
      }
    }
    return {};
  }
};

std::optional<uint64_t> NumberOf(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<std::span<const std::byte>> MapArchive(uint64_t offset, uint64_t size) {
  if (size == 0) return std::span<const std::byte>();
  const uint64_t page = offset % static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  void* at = mmap(nullptr, page + size, PROT_READ, MAP_PRIVATE, kArchive,
                  static_cast<off_t>(offset - page));
  if (at == MAP_FAILED) return SystemError("mmap(archive)");
  return std::span(static_cast<const std::byte*>(at) + page, size);
}

Result<std::string> Read(ReadJob job, uint64_t size, Pipe& pipe) {
  const Result<std::span<const std::byte>> bytes = MapArchive(job.offset, size);
  if (!bytes) return std::unexpected(bytes.error());
  (void)close(kArchive);
  job.bytes = *bytes;
  // Its file is read now.
  const Utf8Locale locale;
  CORDON_TRY(LockIn(size, job.most_plain_bytes, {job.to.fd, job.to.bytes}));
  FrameWriter writer(pipe, job.bytes);
  return OwnTarReader().Read(job, writer);
}

}  // namespace

int Main(int argc, char** argv) {
  constexpr int kWords = 7;
  std::array<uint64_t, kWords> words = {};
  if (argc != kWords + 1) return 2;
  for (int i = 0; i < kWords; ++i) {
    const std::optional<uint64_t> number = NumberOf(argv[i + 1]);
    if (!number) return 2;
    words[static_cast<size_t>(i)] = *number;
  }
  ReadJob job;
  job.offset = words[0];
  job.form = ReadJob::Form{static_cast<uint32_t>(words[2])};
  job.wanted = ReadJob::Wanted{static_cast<uint32_t>(words[3])};
  job.most_plain_bytes = words[4];
  job.hashes = words[5] != 0;
  if (words[6] > 0) job.to = {kRoom, words[6]};
  Pipe pipe;
  const Result<std::string> result = Read(job, words[1], pipe);
  return FrameWriter(pipe, {}).Finish(result) ? 0 : 1;
}

}  // namespace cordon::archive

int main(int argc, char** argv) {
  return cordon::archive::Main(argc, argv);
}
