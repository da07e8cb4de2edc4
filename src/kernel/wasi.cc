// The table of WASI's functions, its error numbers, and the directories that a program finds open.

#include "kernel/wasi.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/open_file.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kFirstDirectory = 3;
constexpr uint32_t kMaxDirectories = 32;

// Private memory of the process.
struct Directories {
  uint32_t count;
  char names[kMaxDirectories][64];
} directories;

int32_t AddDirectory(const vfs::Node& node, std::string_view name) {
  if (directories.count == kMaxDirectories || name.size() >= sizeof directories.names[0]) return 0;
  node.fs->Reference(node.id);
  OpenFile* file = nullptr;
  const int32_t error = OpenNode(node, O_RDONLY, &file);
  if (error != 0) return error;
  const int32_t descriptor = InstallAt(file, kFirstDirectory + directories.count, true);
  if (descriptor < 0) return descriptor;
  char* text = directories.names[directories.count++];
  memset(text, 0, sizeof directories.names[0]);
  memcpy(text, name.data(), name.size());
  return 0;
}

// The directories in the root, by name.
struct RootEntries {
  uint32_t count = 0;
  char names[kMaxDirectories][64] = {};
};

bool TakeEntry(void* cookie, std::string_view name, uint64_t /*inode*/, uint32_t type,
               uint64_t /*next*/) {
  auto& entries = *static_cast<RootEntries*>(cookie);
  if (type != S_IFDIR && type != S_IFLNK) return true;
  if (entries.count == kMaxDirectories || name.size() + 2 > sizeof entries.names[0]) return true;
  char* text = entries.names[entries.count++];
  *text = '/';
  memcpy(text + 1, name.data(), name.size());
  return true;
}

}  // namespace

int64_t WasiError(int64_t error) {
  // By Linux's number: WASI's, in alphabetical order of the names.
  constexpr struct {
    int linux_number;
    uint8_t wasi_number;
  } kNumbers[] = {
      {E2BIG, 1},         {EACCES, 2},     {EAGAIN, 6},    {EBADF, 8},       {EBUSY, 10},
      {ECHILD, 12},       {EDEADLK, 16},   {EDOM, 18},     {EDQUOT, 19},     {EEXIST, 20},
      {EFAULT, 21},       {EFBIG, 22},     {EILSEQ, 25},   {EINTR, 27},      {EINVAL, 28},
      {EIO, 29},          {EISDIR, 31},    {ELOOP, 32},    {EMFILE, 33},     {EMLINK, 34},
      {ENAMETOOLONG, 37}, {ENFILE, 41},    {ENODEV, 43},   {ENOENT, 44},     {ENOEXEC, 45},
      {ENOLCK, 46},       {ENOMEM, 48},    {ENOSPC, 51},   {ENOSYS, 52},     {ENOTCONN, 53},
      {ENOTDIR, 54},      {ENOTEMPTY, 55}, {ENOTSOCK, 57}, {EOPNOTSUPP, 58}, {ENOTTY, 59},
      {ENXIO, 60},        {EOVERFLOW, 61}, {EPERM, 63},    {EPIPE, 64},      {ERANGE, 68},
      {EROFS, 69},        {ESPIPE, 70},    {ESRCH, 71},    {ETIMEDOUT, 73},  {ETXTBSY, 74},
      {EXDEV, 75},
  };
  if (error >= 0) return 0;
  for (const auto& [linux_number, wasi_number] : kNumbers) {
    if (linux_number == -error) return wasi_number;
  }
  return 29;  // io
}

ImportMatch FindWasiCall(std::string_view name, const FunctionType& type, CallHandler* handler) {
  const ImportMatch match = MatchImport(kWasiModule, name, type);
  if (match != ImportMatch::kMatches) return match;
  for (const CallTable& table : {WasiFileCalls(), WasiPathCalls(), WasiProcessCalls()}) {
    for (size_t i = 0; i < table.count; ++i) {
      if (table.rows[i].name != name) continue;
      *handler = table.rows[i].handler;
      return match;
    }
  }
  return ImportMatch::kUnknown;
}

bool ImportsWasi(const wasm::ObjectView& view) {
  return std::ranges::any_of(view.imports, [&](const wasm::ImportRecord& import) {
    return view.String(import.module) == kWasiModule;
  });
}

void ForgetWasiDirectories() {
  directories.count = 0;
}

int32_t OpenWasiDirectories() {
  Process& process = Current();
  for (uint32_t i = kFirstDirectory; i < process.descriptor_end; ++i) (void)CloseDescriptor(i);
  int32_t error = AddDirectory(process.directory, ".");
  RootEntries entries;
  if (error == 0) error = process.root.fs->List(process.root.id, 0, {&entries, TakeEntry});
  for (uint32_t i = 0; error == 0 && i < entries.count; ++i) {
    vfs::Node node;
    if (vfs::Walk(TheKernel().mounts, process.who, process.root, process.root, entries.names[i],
                  vfs::kFollow, &node) != 0)
      continue;
    // What the user may not read is left out.
    if (S_ISDIR(node.fs->ModeOf(node.id)) && node.fs->Access(process.who, node.id, 5) == 0)
      error = AddDirectory(node, entries.names[i]);
    node.fs->Release(node.id);
  }
  return error;
}

std::string_view WasiDirectoryName(uint32_t descriptor) {
  const uint32_t index = descriptor - kFirstDirectory;
  if (descriptor < kFirstDirectory || index >= directories.count) return {};
  return directories.names[index];
}

void ForgetWasiDirectory(uint32_t descriptor) {
  if (!WasiDirectoryName(descriptor).empty())
    directories.names[descriptor - kFirstDirectory][0] = '\0';
}

}  // namespace cordon::kernel
