#ifndef CORDON_SHADOW_RECORD_H_
#define CORDON_SHADOW_RECORD_H_

// How the store's files are written: a name and version, fields with their lengths before them, and
// a digest of it all. Names of files are bytes, so no separator would do.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cordon::shadow {

class RecordWriter {
 public:
  explicit RecordWriter(std::string_view kind) { Text(kind); }
  void Text(std::string_view text);
  void Number(uint64_t number);
  void Signed(int64_t number) { Number(static_cast<uint64_t>(number)); }
  // With the digest.
  [[nodiscard]] std::string Finish();

 private:
  std::string bytes_;
};

// After a field that is wrong every other one is empty or zero, and `Finish` says so.
class RecordReader {
 public:
  // `bytes` must outlive the reader and what it returns.
  RecordReader(std::string_view bytes, std::string_view kind);
  [[nodiscard]] std::string_view Text();
  [[nodiscard]] uint64_t Number();
  [[nodiscard]] int64_t Signed() { return static_cast<int64_t>(Number()); }
  // A number of things that are still to come, each of at least two bytes.
  [[nodiscard]] size_t Count();
  // At most `last`.
  [[nodiscard]] uint32_t Choice(uint32_t last);
  [[nodiscard]] bool is_good() const { return is_good_; }
  void Spoil() { is_good_ = false; }
  // Nothing is left and nothing was wrong; `file` is for the message.
  [[nodiscard]] Status Finish(const std::string& file) const;

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_RECORD_H_
