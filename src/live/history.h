#ifndef CORDON_LIVE_HISTORY_H_
#define CORDON_LIVE_HISTORY_H_

// The commands of a session, newest last. The shell's `history` sees them as a file, which is
// written only when commands begin to speak of it.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "backend/wasm/mailbox.h"

namespace cordon::live {

class History {
 public:
  static constexpr size_t kMostEntries = 1000;
  static constexpr size_t kMostBytes = 128 * 1024;

  // Before the command begins.
  [[nodiscard]] Status Add(backend::Mailbox& mailbox, const std::string& command);
  // Entries as Kind::kHistory answers.
  [[nodiscard]] std::string List(backend::Mailbox& mailbox);
  void Clear(backend::Mailbox& mailbox);
  // What List gave, of another sandbox.
  [[nodiscard]] Status Restore(backend::Mailbox& mailbox, std::string_view payload);
  [[nodiscard]] int64_t first_index() const { return first_index_; }

 private:
  struct Entry {
    int64_t seconds;
    std::string command;
  };
  [[nodiscard]] Status WriteFile(backend::Mailbox& mailbox) const;
  void TakeClearing(backend::Mailbox& mailbox);

  std::deque<Entry> entries_;
  size_t bytes_ = 0;
  int64_t first_index_ = 1;
  bool has_file_ = false;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_HISTORY_H_
