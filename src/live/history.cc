#include "live/history.h"

#include <algorithm>
#include <ctime>

#include "live/frame.h"

namespace cordon::live {
namespace {

constexpr const char* kPath = "/run/cordon/history";

}  // namespace

Status History::WriteFile(backend::Mailbox& mailbox) const {
  std::string text;
  int64_t index = first_index_;
  for (const Entry& entry : entries_) {
    const std::string number = std::to_string(index++);
    text += std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number + "  " +
            entry.command + "\n";
  }
  // Something remains of a short list too: an empty file says that the shell cleared it.
  constexpr uint32_t kOwnerOnly = 0600;
  CORDON_TRY(mailbox.MakeDirectory("/run/cordon", 0755));
  for (size_t done = 0; done == 0 || done < text.size();) {
    const size_t count = std::min(text.size() - done, backend::Mailbox::kMaxTransfer);
    CORDON_TRY(mailbox.WriteFile(kPath, kOwnerOnly, done, {text.data() + done, count}));
    done += count == 0 ? 1 : count;
  }
  return {};
}

// The shell's `history clear` empties the file.
void History::TakeClearing(backend::Mailbox& mailbox) {
  if (!has_file_ || entries_.empty()) return;
  const Result<backend::GuestStat> stat = mailbox.ReadStat(kPath);
  if (!stat || stat->size > 0) return;
  entries_.clear();
  bytes_ = 0;
  first_index_ = 1;
}

Status History::Add(backend::Mailbox& mailbox, const std::string& command) {
  TakeClearing(mailbox);
  bytes_ += command.size();
  entries_.push_back({time(nullptr), command});
  while (entries_.size() > kMostEntries || (bytes_ > kMostBytes && entries_.size() > 1)) {
    bytes_ -= entries_.front().command.size();
    entries_.pop_front();
    ++first_index_;
  }
  // A function or an alias may call it later under another name.
  has_file_ |= command.find("history") != std::string::npos;
  return has_file_ ? WriteFile(mailbox) : Status();
}

void History::Clear(backend::Mailbox& mailbox) {
  entries_.clear();
  bytes_ = 0;
  first_index_ = 1;
  if (has_file_) (void)WriteFile(mailbox);
}

Status History::Restore(backend::Mailbox& mailbox, std::string_view payload) {
  Clear(mailbox);
  PayloadReader reader(payload);
  Entry entry = {};
  while (reader.Take(&entry.seconds) && reader.TakeString(&entry.command)) {
    const int64_t seconds = entry.seconds;
    CORDON_TRY(Add(mailbox, entry.command));
    entries_.back().seconds = seconds;
  }
  return {};
}

std::string History::List(backend::Mailbox& mailbox) {
  TakeClearing(mailbox);
  std::string payload;
  for (const Entry& entry : entries_) {
    payload.append(reinterpret_cast<const char*>(&entry.seconds), sizeof entry.seconds);
    payload += entry.command + '\0';
  }
  return payload;
}

}  // namespace cordon::live
