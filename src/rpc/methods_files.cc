// Methods about files. The sandbox's kernel looks paths up: nothing here leads to a file of the
// host.

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "rpc/call.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr int64_t kMostAtOnce = int64_t{4} << 20;

// Asks the sandbox; `then` hears what it answered if that is no error.
void AskFiles(const CallPtr& call, Frame frame, std::function<void(const Frame&)> then) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  sandbox->link->Ask(std::move(frame), [call, then = std::move(then)](const Frame& answer) {
    if (answer.kind == Kind::kDead) {
      call->Refuse({kSandboxError, answer.payload, {}});
    } else if (answer.arg[0] < 0) {
      call->RefuseErrno(static_cast<int>(-answer.arg[0]), answer.payload);
    } else {
      then(answer);
    }
    return true;
  });
}

void AskAndSayDone(const CallPtr& call, Frame frame) {
  AskFiles(call, std::move(frame), [call](const Frame&) { call->Reply(Json::object()); });
}

std::string Joined(const std::string& first, const std::string& second = {}) {
  return second.empty() ? first + '\0' : first + '\0' + second + '\0';
}

const char* TypeOf(uint32_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "dir";
  return S_ISLNK(mode) ? "symlink" : "other";
}

bool TakeStat(live::PayloadReader& reader, Json* entry) {
  uint32_t mode = 0;
  uint64_t size = 0;
  uint64_t mtime_ns = 0;
  std::string target;
  if (!reader.Take(&mode) || !reader.Take(&size) || !reader.Take(&mtime_ns) ||
      !reader.TakeString(&target)) {
    return false;
  }
  *entry = {{"type", TypeOf(mode)},
            {"size", size},
            {"mode", mode & 07777},
            {"mtimeMs", mtime_ns / 1'000'000}};
  if (S_ISLNK(mode)) PutBytes(*entry, "target", target);
  return true;
}

void Damaged(const CallPtr& call) {
  call->Refuse({kSandboxError, "the sandbox gave no sensible answer", {}});
}

// A page of a listing, and then the next.
void AskList(const CallPtr& call, const std::string& path, const std::shared_ptr<Json>& entries) {
  const auto first = static_cast<int64_t>(entries->size());
  AskFiles(call, {Kind::kList, 0, {first}, Joined(path)}, [call, path, entries](const Frame& page) {
    live::PayloadReader reader(page.payload);
    const size_t before = entries->size();
    while (!reader.rest().empty()) {
      std::string name;
      Json entry;
      if (!reader.TakeString(&name) || !TakeStat(reader, &entry)) return Damaged(call);
      PutBytes(entry, "name", name);
      entries->push_back(std::move(entry));
    }
    const bool is_all = static_cast<int64_t>(entries->size()) >= page.arg[0];
    if (!is_all && entries->size() > before) return AskList(call, path, entries);
    call->Reply({{"entries", *entries}});
  });
}

}  // namespace

void FilesRead(const CallPtr& call) {
  const auto path = call->Path("path");
  if (!path) return;
  const auto offset = call->Number("offset", 0, 0, int64_t{1} << 50);
  if (!offset) return;
  const auto length = call->Number("length", kMostAtOnce, 0, int64_t{1} << 50);
  if (!length) return;
  AskFiles(call, {Kind::kReadFile, 0, {*offset, std::min(*length, kMostAtOnce)}, Joined(*path)},
           [call](const Frame& answer) {
             Json result = {{"size", answer.payload.size()}};
             PutData(result, "data", answer.payload);
             call->Reply(result);
           });
}

void FilesWrite(const CallPtr& call) {
  const auto path = call->Path("path");
  if (!path) return;
  const auto mode = call->Number("mode", 0, 0, 07777);
  if (!mode) return;
  const auto bytes = call->Bytes("data");
  if (!bytes) return;
  const auto appends = call->Flag("append");
  if (!appends) return;
  const auto how = *appends ? live::WriteMode::kAppend : live::WriteMode::kReplace;
  AskAndSayDone(call,
                {Kind::kWriteFile, 0, {static_cast<int64_t>(how), *mode}, Joined(*path) + *bytes});
}

void FilesList(const CallPtr& call) {
  const auto path = call->Path("path");
  if (path) AskList(call, *path, std::make_shared<Json>(Json::array()));
}

void FilesStat(const CallPtr& call) {
  const auto path = call->Path("path");
  if (!path) return;
  AskFiles(call, {Kind::kStat, 0, {}, Joined(*path)}, [call](const Frame& answer) {
    live::PayloadReader reader(answer.payload);
    Json entry;
    if (!TakeStat(reader, &entry)) return Damaged(call);
    call->Reply(entry);
  });
}

void FilesMkdir(const CallPtr& call) {
  const auto path = call->Path("path");
  if (!path) return;
  const auto mode = call->Number("mode", 0755, 0, 07777);
  if (mode) AskAndSayDone(call, {Kind::kMakeDir, 0, {*mode}, Joined(*path)});
}

void FilesRemove(const CallPtr& call) {
  const auto path = call->Path("path");
  if (path) AskAndSayDone(call, {Kind::kRemove, 0, {}, Joined(*path)});
}

void FilesRename(const CallPtr& call) {
  const auto from = call->Path("from");
  if (!from) return;
  const auto to = call->Path("to");
  if (to) AskAndSayDone(call, {Kind::kRename, 0, {}, Joined(*from, *to)});
}

void FilesCopy(const CallPtr& call) {
  const auto from = call->Path("from");
  if (!from) return;
  const auto to = call->Path("to");
  if (to) AskAndSayDone(call, {Kind::kCopy, 0, {}, Joined(*from, *to)});
}

void FilesSymlink(const CallPtr& call) {
  const auto target = call->Name("target");
  if (!target) return;
  if (target->empty()) return call->RefuseErrno(ENOENT, "target");
  const auto path = call->Path("path");
  if (path) AskAndSayDone(call, {Kind::kSymlink, 0, {}, Joined(*target, *path)});
}

void FilesChmod(const CallPtr& call) {
  const auto path = call->Path("path");
  if (!path) return;
  if (!call->Has("mode")) return call->Refuse({kInvalidParams, "Missing required param: mode", {}});
  const auto mode = call->Number("mode", 0, 0, 07777);
  if (mode) AskAndSayDone(call, {Kind::kChangeMode, 0, {*mode}, Joined(*path)});
}

}  // namespace cordon::rpc
