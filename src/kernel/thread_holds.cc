// What a call uses is not freed under it: in a process with several threads a call takes references
// and gives them back on its way out. With one thread nobody else could.

#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

void Hold(const HeldObject& object) {
  ThreadData& data = OwnData();
  data.held[data.held_count++] = object;
}

}  // namespace

bool CanHold() {
  return OwnData().held_count < ThreadData::kMaxHeld;
}

void HoldFile(OpenFile* file) {
  Hold({file, 0, HeldObject::kFile});
}
void HoldTerminal(Terminal* terminal) {
  Hold({terminal, 0, HeldObject::kTerminal});
}

vfs::Node WorkingDirectory() {
  Process& process = Current();
  if (!HasOtherThreads()) return process.directory;
  // The root of a process never changes.
  if (!CanHold()) return process.root;
  const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
  const vfs::Node node = process.directory;
  node.fs->Reference(node.id);
  Hold({node.fs, node.id, HeldObject::kNode});
  return node;
}

void ReleaseHeld() {
  ThreadData& data = OwnData();
  while (data.held_count > 0) {
    const HeldObject held = data.held[--data.held_count];
    switch (held.kind) {
      case HeldObject::kFile:
        Release(static_cast<OpenFile*>(held.object));
        break;
      case HeldObject::kNode:
        static_cast<vfs::FileSystem*>(held.object)->Release(held.id);
        break;
      case HeldObject::kTerminal:
        Release(static_cast<Terminal*>(held.object));
        break;
    }
  }
}

}  // namespace cordon::kernel
