#include "live/host_calls.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cordon::live {
namespace {

using control::HostCall;

// Pieces that are taken from one command before another is looked at.
constexpr int kMostTaken = 8;

constexpr const char* kFolder = "/usr/local/bin/";
constexpr const char* kFirstLine = "#!/usr/libexec/cordon/host-command ";

}  // namespace

HostCalls::HostCalls(control::Control& page, Send send) : page_(page), send_(std::move(send)) {
  page_.serves_host_calls.store(1);
}

control::Ring* HostCalls::RingsOf(uint32_t slot) const {
  return page_.rings + control::kHostCallRings + uint64_t{slot} * control::kRingsPerHostCall;
}

uint32_t HostCalls::Find(int64_t number) const {
  const auto found = std::ranges::find_if(going_, [number](const auto& going) {
    return going != nullptr && going->is_told && going->number == number;
  });
  return static_cast<uint32_t>(found - going_.begin());
}

void HostCalls::Give(Going& going, std::string bytes) {
  going.given += bytes.size();
  going.to.Add(std::move(bytes));
}

void HostCalls::Exit(Going& going, uint32_t status) {
  Give(going, EncodeHostFrame(HostSays::kExit, status & 255));
  going.to.Close();
  going.has_ended = true;
}

void HostCalls::Say(Going& going, const std::string& message) {
  Give(going, EncodeHostFrame(HostSays::kError, message + "\n"));
}

void HostCalls::CutOff(Going& going) {
  going.to.Close();
  going.has_ended = true;
}

void HostCalls::Handle(const Frame& frame) {
  const uint32_t slot = Find(frame.arg[0]);
  if (slot == control::kMaxHostCalls) return;
  Going* going = going_[slot].get();
  if (frame.kind == Kind::kHostExit) {
    going->is_done = true;
    if (!going->has_ended) Exit(*going, static_cast<uint32_t>(frame.arg[1]));
    return FreeIfOver(slot);
  }
  if (going->has_ended) return;
  switch (frame.kind) {
    case Kind::kHostWant: {
      const auto wanted =
          static_cast<uint32_t>(std::clamp<int64_t>(frame.arg[1], 1, kMaxHostInput));
      going->reader.Want(wanted);
      Give(*going, EncodeHostFrame(HostSays::kWant, wanted));
      return;
    }
    case Kind::kHostOutput: {
      const HostSays type = frame.arg[1] == 2 ? HostSays::kError : HostSays::kOutput;
      std::string_view rest = frame.payload;
      while (!rest.empty()) {
        Give(*going, EncodeHostFrame(type, rest.substr(0, kMaxHostOutput)));
        rest.remove_prefix(std::min<size_t>(rest.size(), kMaxHostOutput));
      }
      going->writes.push_back({going->given, frame.arg[1]});
      return;
    }
    default:
      return;
  }
}

void HostCalls::Take(Going& going, HostFrame frame) {
  if (frame.type != GuestSays::kCall) {
    const int64_t is_end = frame.type == GuestSays::kInputEnd ? 1 : 0;
    return send_({Kind::kHostInput, 0, {going.number, is_end}, std::move(frame.payload)});
  }
  const std::optional<HostCallStart> start = ParseHostCall(frame.payload);
  if (!start || !IsCommandName(start->name)) return CutOff(going);
  going.is_told = true;
  send_({Kind::kHostCalled, 0, {going.number}, std::move(frame.payload)});
}

bool HostCalls::Hear(Going& going) {
  for (int i = 0; !going.has_ended; ++i) {
    if (i == kMostTaken) {
      is_busy_ = true;
      return true;
    }
    OutputStream::Taken taken = going.from.Take();
    if (taken.state == OutputStream::State::kDamaged) return false;
    if (taken.state != OutputStream::State::kMore) return true;
    going.from.AddCredit(static_cast<int64_t>(taken.bytes.size()));
    going.reader.Add(taken.bytes);
    while (!going.has_ended) {
      Result<std::optional<HostFrame>> frame = going.reader.Next();
      if (!frame) {
        CutOff(going);
      } else if (!*frame) {
        break;
      } else {
        Take(going, std::move(**frame));
      }
    }
  }
  return true;
}

bool HostCalls::Move(uint32_t slot) {
  Going& going = *going_[slot];
  if (!Hear(going)) return false;
  const InputStream::Moved moved = going.to.Move();
  if (moved.state == InputStream::State::kDamaged) return false;
  going.moved += static_cast<uint64_t>(moved.taken);
  while (!going.writes.empty() && going.writes.front().end <= going.moved) {
    send_({Kind::kHostTaken, 0, {going.number, going.writes.front().stream}, {}});
    going.writes.pop_front();
  }
  return true;
}

void HostCalls::Close(uint32_t slot) {
  const auto& going = going_[slot];
  if (going != nullptr && !going->is_gone) {
    going->is_gone = going->has_ended = true;
    if (going->is_told) send_({Kind::kHostGone, 0, {going->number}, {}});
  }
  FreeIfOver(slot);
}

void HostCalls::FreeIfOver(uint32_t slot) {
  const auto& going = going_[slot];
  if (going != nullptr && (!going->is_gone || (going->is_told && !going->is_done))) return;
  going_[slot].reset();
  page_.host_calls[slot].state.store(HostCall::kFree);
}

bool HostCalls::Progress() {
  is_busy_ = false;
  for (uint32_t slot = 0; slot < control::kMaxHostCalls; ++slot) {
    const uint32_t state = page_.host_calls[slot].state.load();
    if (state == HostCall::kClosed) {
      Close(slot);
    } else if (state == HostCall::kOpen || going_[slot] != nullptr) {
      if (going_[slot] == nullptr) {
        going_[slot] = std::make_unique<Going>(page_, RingsOf(slot));
        going_[slot]->number = ++last_number_;
      }
      if (!Move(slot)) return false;
    }
  }
  return true;
}

void HostCalls::Restart() {
  for (uint32_t slot = 0; slot < control::kMaxHostCalls; ++slot) {
    const std::unique_ptr<Going> going = std::exchange(going_[slot], nullptr);
    if (going != nullptr && going->is_told && !going->is_gone)
      send_({Kind::kHostGone, 0, {going->number}, {}});
    if (page_.host_calls[slot].state.load() != HostCall::kOpen) continue;
    control::Ring* rings = RingsOf(slot);
    going_[slot] = std::make_unique<Going>(page_, rings);
    going_[slot]->has_ended = true;
    rings[0].reader_closed.store(1);
    rings[1].writer_closed.store(1);
  }
  RingService(page_);
}

FileAnswer AddCommand(backend::Mailbox& mailbox, const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string name;
  if (!reader.TakeString(&name) || !IsCommandName(name)) return {-EINVAL, "name"};
  for (const char* folder : {"/usr/bin/", "/usr/sbin/"}) {
    if (mailbox.ReadStat(folder + name)) return {-EEXIST, name + " is a program of the sandbox"};
  }
  const std::string path = kFolder + name;
  const std::string text = kFirstLine + name + "\n";
  const auto there = mailbox.ReadFile(path, 0);
  if (there &&
      std::string_view(reinterpret_cast<const char*>(there->data()), there->size()) != text)
    return {-EEXIST, path + " is there"};
  if (there) return {1, {}};
  const Status written = mailbox.WriteFile(path, 0755, 0, text);
  return written ? FileAnswer() : FailWith(written.error());
}

}  // namespace cordon::live
