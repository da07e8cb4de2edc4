// What a client answers about the files of a file system that it has: the same answers however the
// bytes are cut, and whatever is taken of them is a file, a directory or a link, with names that
// stay where they are and numbers that fit.

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "live/client_file_frame.h"

namespace {

using cordon::live::ClientAnswerReader;
using cordon::live::ClientFileAnswer;

struct Read {
  std::vector<ClientFileAnswer> answers;
  bool is_broken = false;
};

Read ReadAll(std::string_view bytes, size_t piece) {
  Read read;
  ClientAnswerReader reader;
  while (!bytes.empty() && !read.is_broken) {
    const size_t size = std::min(piece, bytes.size());
    reader.Add(bytes.substr(0, size));
    bytes.remove_prefix(size);
    for (;;) {
      auto next = reader.Next();
      read.is_broken = !next;
      if (read.is_broken || !*next) break;
      read.answers.push_back(std::move(**next));
    }
  }
  return read;
}

void Check(bool holds) {
  if (!holds) std::abort();
}

bool IsShown(uint32_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

void CheckMeaning(const ClientFileAnswer& answer) {
  if (const auto facts = ReadClientStat("a/b", answer)) {
    Check(IsShown(facts->mode) && (facts->mode & ~(S_IFMT | 0777U)) == 0);
    Check(facts->size <= uint64_t{1} << 53);
  }
  if (const auto root = ReadClientStat("", answer)) Check(S_ISDIR(root->mode));
  if (const auto entries = ReadClientList(answer)) {
    for (const auto& entry : *entries) {
      Check(IsShown(entry.type) && !entry.name.empty() && entry.name.size() <= 255);
      Check(entry.name != "." && entry.name != "..");
      Check(entry.name.find('/') == std::string::npos &&
            entry.name.find('\0') == std::string::npos);
    }
  }
  if (const auto end = ReadClientEnd(10, answer)) Check(*end >= 10);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Read whole = ReadAll(bytes, std::max<size_t>(size, 1));
  const Read cut = ReadAll(bytes, 3);
  Check(whole.is_broken == cut.is_broken && whole.answers.size() == cut.answers.size());
  for (size_t i = 0; i < whole.answers.size(); ++i) {
    Check(whole.answers[i].number == cut.answers[i].number);
    Check(whole.answers[i].result == cut.answers[i].result);
    Check(whole.answers[i].data == cut.answers[i].data);
    CheckMeaning(whole.answers[i]);
  }
  return 0;
}
