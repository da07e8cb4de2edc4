#include "shadow/manifest.h"

#include <algorithm>

#include "shadow/record.h"
#include "shadow/tree.h"

namespace cordon::shadow {
namespace {

constexpr std::string_view kKind = "cordon shadow base 1";
constexpr uint32_t kLastMode = 07777;

void WriteIdentity(RecordWriter& out, const Identity& identity) {
  out.Number(identity.device);
  out.Number(identity.inode);
  out.Number(identity.size);
  out.Signed(identity.mtime_ns);
  out.Signed(identity.ctime_ns);
  out.Number(identity.is_settled ? 1 : 0);
}

Identity ReadIdentity(RecordReader& in) {
  Identity identity;
  identity.device = in.Number();
  identity.inode = in.Number();
  identity.size = in.Number();
  identity.mtime_ns = in.Signed();
  identity.ctime_ns = in.Signed();
  identity.is_settled = in.Choice(1) == 1;
  return identity;
}

std::string_view Bytes(const Sha256::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

BaseEntry ReadEntry(RecordReader& in) {
  BaseEntry entry;
  entry.absence = static_cast<Absence>(in.Choice(static_cast<uint32_t>(Absence::kTooLong)));
  entry.detail = in.Text();
  entry.node.type = static_cast<NodeType>(in.Choice(static_cast<uint32_t>(NodeType::kOther)));
  entry.node.mode = in.Choice(kLastMode);
  entry.node.size = in.Number();
  entry.node.mtime_ns = in.Signed();
  entry.node.target = in.Text();
  const std::string_view digest = in.Text();
  if (!digest.empty()) {
    Sha256::Digest bytes = {};
    if (digest.size() != bytes.size()) {
      in.Spoil();
    } else {
      std::ranges::copy(digest, bytes.begin());
      entry.node.sha256 = bytes;
    }
  }
  entry.real = ReadIdentity(in);
  entry.copy = ReadIdentity(in);
  return entry;
}

}  // namespace

const char* AbsenceText(Absence absence) {
  switch (absence) {
    case Absence::kNone:
      return "";
    case Absence::kIgnored:
      return "ignored";
    case Absence::kMount:
      return "another file system is mounted there";
    case Absence::kSpecial:
      return "a FIFO, a socket or a device";
    case Absence::kUnreadable:
      return "you may not read it";
    case Absence::kTooLong:
      return "its path is longer than 4095 bytes";
  }
  return "";
}

bool IsCleanPath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string_view::npos)
    return false;
  while (true) {
    const std::string_view name = path.substr(0, path.find('/'));
    if (name.empty() || name == "." || name == "..") return false;
    if (name.size() == path.size()) return true;
    path.remove_prefix(name.size() + 1);
  }
}

std::string WriteManifest(const Manifest& manifest) {
  RecordWriter out(kKind);
  out.Number(manifest.size());
  for (const auto& [path, entry] : manifest) {
    out.Text(path);
    out.Number(static_cast<uint64_t>(entry.absence));
    out.Text(entry.detail);
    out.Number(static_cast<uint64_t>(entry.node.type));
    out.Number(entry.node.mode);
    out.Number(entry.node.size);
    out.Signed(entry.node.mtime_ns);
    out.Text(entry.node.target);
    out.Text(entry.node.sha256 ? Bytes(*entry.node.sha256) : std::string_view());
    WriteIdentity(out, entry.real);
    WriteIdentity(out, entry.copy);
  }
  return out.Finish();
}

Result<Manifest> ReadManifest(std::string_view bytes, const std::string& file) {
  RecordReader in(bytes, kKind);
  Manifest manifest;
  const size_t count = in.Count();
  for (size_t i = 0; i < count && in.is_good(); ++i) {
    const std::string path(in.Text());
    BaseEntry entry = ReadEntry(in);
    // What is too long to be opened is only named.
    if (!IsCleanPath(path) && entry.absence != Absence::kTooLong) in.Spoil();
    manifest.insert_or_assign(manifest.end(), path, std::move(entry));
  }
  CORDON_TRY(in.Finish(file));
  return manifest;
}

}  // namespace cordon::shadow
