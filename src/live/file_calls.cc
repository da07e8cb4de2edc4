#include "live/file_calls.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/random_digits.h"

namespace cordon::live {

FileAnswer FailWith(const Error& error) {
  return {error.system_errno != 0 ? -error.system_errno : -EIO, error.ToString()};
}

namespace {

using backend::Mailbox;

// No directory of a sandbox has more entries than it may have files.
constexpr size_t kMaxListing = size_t{64} << 20;
constexpr int kMaxDepth = 200;

FileAnswer FailAs(int number, const std::string& what) {
  return {-number, what + ": " + strerror(number)};
}

FileAnswer AnswerOf(const Status& status) {
  return status ? FileAnswer() : FailWith(status.error());
}

template <typename T>
void Append(std::string* payload, const T& value) {
  payload->append(reinterpret_cast<const char*>(&value), sizeof value);
}

FileAnswer ReadFile(Mailbox& mailbox, const std::string& path, int64_t offset, int64_t most) {
  std::string bytes;
  const auto wanted = static_cast<size_t>(std::clamp<int64_t>(most, 0, kMaxPayload));
  if (wanted == 0) {
    const auto there = mailbox.ReadFile(path, 0, 1);
    if (!there) return FailWith(there.error());
  }
  while (bytes.size() < wanted) {
    const auto got =
        mailbox.ReadFile(path, static_cast<uint64_t>(offset) + bytes.size(), wanted - bytes.size());
    if (!got) return FailWith(got.error());
    if (got->empty()) break;
    bytes.append(reinterpret_cast<const char*>(got->data()), got->size());
  }
  return {static_cast<int64_t>(bytes.size()), std::move(bytes)};
}

Status MakeParents(Mailbox& mailbox, const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return {};
  const std::string parent = path.substr(0, slash);
  const Status made = mailbox.MakeDirectory(parent, 0755);
  if (made || made.error().system_errno != EEXIST) return made;
  return SystemError(parent, ENOTDIR);
}

// Of any size, in pieces. `offset` is where the first goes.
Status PutBytes(Mailbox& mailbox, const std::string& path, uint32_t mode, bool appends,
                std::string_view bytes) {
  size_t done = 0;
  do {
    const size_t count = std::min(bytes.size() - done, Mailbox::kMaxTransfer);
    CORDON_TRY(mailbox.WriteFile(path, mode, appends ? Mailbox::kAppend : done,
                                 {bytes.data() + done, count}));
    done += count;
  } while (done < bytes.size());
  return {};
}

// Of a file that is written beside the one whose place it takes: nobody else's, and no longer than
// a name may be.
// Readers see the old contents or the new ones. A link stays one: what it leads to is written in
// place.
FileAnswer Replace(Mailbox& mailbox, const std::string& path, uint32_t mode,
                   std::string_view bytes) {
  const Result<backend::GuestStat> old = mailbox.ReadStat(path);
  if (old && S_ISDIR(old->mode)) return FailAs(EISDIR, path);
  if (old && S_ISREG(old->mode) && mode == 0) mode = old->mode & 07777;
  if (mode == 0) mode = 0644;
  if (old && !S_ISREG(old->mode)) return AnswerOf(PutBytes(mailbox, path, mode, false, bytes));
  const std::string temporary =
      path.substr(0, path.rfind('/') + 1) + ".cordon-new-" + RandomDigits(16);
  Status put = PutBytes(mailbox, temporary, mode, false, bytes);
  if (put) put = mailbox.ChangeMode(temporary, mode);
  if (put) put = mailbox.Rename(temporary, path);
  if (!put) (void)mailbox.Remove(temporary);
  return AnswerOf(put);
}

FileAnswer WriteFile(Mailbox& mailbox, const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string path;
  if (!reader.TakeString(&path)) return FailAs(EINVAL, "path");
  if (const Status made = MakeParents(mailbox, path); !made) return FailWith(made.error());
  const auto mode = static_cast<uint32_t>(frame.arg[1]) & 07777;
  if (static_cast<WriteMode>(frame.arg[0]) == WriteMode::kReplace) {
    return Replace(mailbox, path, mode, reader.rest());
  }
  return AnswerOf(PutBytes(mailbox, path, mode == 0 ? 0644 : mode, true, reader.rest()));
}

struct Listed {
  std::string name;
  backend::GuestStat stat;
};

Result<std::vector<Listed>> List(Mailbox& mailbox, const std::string& path) {
  std::vector<Listed> entries;
  for (uint64_t cookie = 0; entries.size() * sizeof(Listed) < kMaxListing;) {
    const auto page = mailbox.ListPage(path, cookie);
    if (!page) return std::unexpected(page.error());
    if (page->result == 0) return entries;
    PayloadReader reader(
        {reinterpret_cast<const char*>(page->payload.data()), page->payload.size()});
    for (int32_t i = 0; i < page->result; ++i) {
      Listed entry;
      if (!reader.Take(&cookie) || !reader.TakeString(&entry.name) ||
          !reader.Take(&entry.stat.mode) || !reader.Take(&entry.stat.size) ||
          !reader.Take(&entry.stat.mtime_ns) || !reader.TakeString(&entry.stat.link_target) ||
          entry.name.empty() || entry.name.find('/') != std::string::npos) {
        return Fail(ErrorCode::kCorrupt, path + ": the sandbox gave no sensible answer");
      }
      if (entry.stat.mode != 0) entries.push_back(std::move(entry));
    }
  }
  return Fail(ErrorCode::kCorrupt, path + ": the sandbox gave no sensible answer");
}

void AppendStat(std::string* payload, const backend::GuestStat& stat) {
  Append(payload, stat.mode);
  Append(payload, stat.size);
  Append(payload, stat.mtime_ns);
  *payload += stat.link_target + '\0';
}

FileAnswer ListDirectory(Mailbox& mailbox, const std::string& path, int64_t first) {
  const Result<std::vector<Listed>> entries = List(mailbox, path);
  if (!entries) return FailWith(entries.error());
  FileAnswer answer;
  // The result is how many there are; an answer has as many as fit, from `first`.
  answer.result = static_cast<int64_t>(entries->size());
  for (size_t i = static_cast<size_t>(std::max<int64_t>(first, 0)); i < entries->size(); ++i) {
    if (answer.payload.size() > kMaxPayload - 8192) break;
    answer.payload += (*entries)[i].name + '\0';
    AppendStat(&answer.payload, (*entries)[i].stat);
  }
  return answer;
}

FileAnswer Stat(Mailbox& mailbox, const std::string& path) {
  const Result<backend::GuestStat> stat = mailbox.ReadStat(path);
  if (!stat) return FailWith(stat.error());
  FileAnswer answer;
  AppendStat(&answer.payload, *stat);
  return answer;
}

Status CopyFile(Mailbox& mailbox, const std::string& from, const std::string& to, uint32_t mode) {
  for (uint64_t done = 0;;) {
    const auto bytes = mailbox.ReadFile(from, done);
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty() && done > 0) break;
    CORDON_TRY(mailbox.WriteFile(to, mode, done,
                                 {reinterpret_cast<const char*>(bytes->data()), bytes->size()}));
    if (bytes->empty()) break;
    done += bytes->size();
  }
  return mailbox.ChangeMode(to, mode);
}

Status CopyTree(Mailbox& mailbox, const std::string& from, const std::string& to, int depth) {
  if (depth > kMaxDepth) return SystemError(from, ELOOP);
  const Result<backend::GuestStat> stat = mailbox.ReadStat(from);
  if (!stat) return std::unexpected(stat.error());
  const uint32_t mode = stat->mode & 07777;
  if (S_ISLNK(stat->mode)) return mailbox.MakeSymlink(stat->link_target, to);
  if (S_ISREG(stat->mode)) return CopyFile(mailbox, from, to, mode);
  if (!S_ISDIR(stat->mode)) return SystemError("copy of a device: " + from, EINVAL);
  // Otherwise it would be found among its own entries.
  if ((to + "/").starts_with(from + "/")) return SystemError("copy into itself: " + to, EINVAL);
  CORDON_TRY(mailbox.MakeDirectory(to, mode));
  const Result<std::vector<Listed>> entries = List(mailbox, from);
  if (!entries) return std::unexpected(entries.error());
  for (const Listed& entry : *entries) {
    CORDON_TRY(CopyTree(mailbox, from + "/" + entry.name, to + "/" + entry.name, depth + 1));
  }
  return {};
}

FileAnswer AnswerWithPaths(Mailbox& mailbox, const Frame& frame, const std::string& first,
                           const std::string& second) {
  switch (frame.kind) {
    case Kind::kRename:
      return AnswerOf(mailbox.Rename(first, second));
    case Kind::kCopy:
      return AnswerOf(CopyTree(mailbox, first, second, 0));
    case Kind::kSymlink:
      return AnswerOf(mailbox.MakeSymlink(first, second));
    default:
      return FailAs(ENOSYS, "request");
  }
}

FileAnswer AnswerUsage(Mailbox& mailbox) {
  const Result<control::Usage> usage = mailbox.ReadUsage();
  if (!usage) return FailWith(usage.error());
  FileAnswer answer;
  Append(&answer.payload, *usage);
  return answer;
}

}  // namespace

FileAnswer AnswerFileCall(Mailbox& mailbox, const Frame& frame) {
  if (frame.kind == Kind::kUsage) return AnswerUsage(mailbox);
  if (frame.kind == Kind::kWriteFile) return WriteFile(mailbox, frame);
  PayloadReader reader(frame.payload);
  std::string path;
  std::string second;
  if (!reader.TakeString(&path) || path.empty()) return FailAs(EINVAL, "path");
  const auto mode = static_cast<uint32_t>(frame.arg[0]) & 07777;
  switch (frame.kind) {
    case Kind::kReadFile:
      return ReadFile(mailbox, path, frame.arg[0], frame.arg[1]);
    case Kind::kList:
      return ListDirectory(mailbox, path, frame.arg[0]);
    case Kind::kStat:
      return Stat(mailbox, path);
    case Kind::kMakeDir:
      return AnswerOf(mailbox.MakeDirectory(path, mode == 0 ? 0755 : mode));
    case Kind::kRemove:
      return AnswerOf(mailbox.Remove(path));
    case Kind::kChangeMode:
      return AnswerOf(mailbox.ChangeMode(path, mode));
    default:
      if (!reader.TakeString(&second)) return FailAs(EINVAL, "path");
      return AnswerWithPaths(mailbox, frame, path, second);
  }
}

}  // namespace cordon::live
