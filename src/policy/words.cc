#include "policy/words.h"

namespace cordon::policy {
namespace {

// What a shell acts on where it is not quoted, but for blanks and quotes.
constexpr std::string_view kActive = "|&;<>()$`\n\r{}[]?!#~";
// Inside double quotes.
constexpr std::string_view kActiveInQuotes = "$`";

class Splitter {
 public:
  Splitter(std::string_view line, bool star_is_plain) : line_(line), star_(star_is_plain) {}

  std::optional<std::vector<std::string>> Split() {
    while (at_ < line_.size()) {
      if (!Take(line_[at_++])) return std::nullopt;
    }
    End();
    return words_;
  }

 private:
  bool Take(char c) {
    if (c == ' ' || c == '\t') {
      End();
      return true;
    }
    started_ = true;
    if (c == '\'') return TakeQuoted();
    if (c == '"') return TakeDoubleQuoted();
    if (c == '\\') {
      if (at_ == line_.size() || line_[at_] == '\n') return false;
      c = line_[at_++];
    } else if (kActive.find(c) != std::string_view::npos || (c == '*' && !star_)) {
      return false;
    }
    word_ += c;
    return true;
  }

  bool TakeQuoted() {
    const size_t end = line_.find('\'', at_);
    if (end == std::string_view::npos) return false;
    word_ += line_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }

  bool TakeDoubleQuoted() {
    while (at_ < line_.size()) {
      char c = line_[at_++];
      if (c == '"') return true;
      if (kActiveInQuotes.find(c) != std::string_view::npos) return false;
      if (c == '\\' && at_ < line_.size() &&
          std::string_view("\\\"$`").find(line_[at_]) != std::string_view::npos) {
        c = line_[at_++];
      }
      word_ += c;
    }
    return false;
  }

  void End() {
    if (started_) words_.push_back(std::move(word_));
    word_.clear();
    started_ = false;
  }

  std::string_view line_;
  bool star_;
  size_t at_ = 0;
  bool started_ = false;
  std::string word_;
  std::vector<std::string> words_;
};

}  // namespace

std::optional<std::vector<std::string>> SplitCommand(std::string_view line) {
  return Splitter(line, false).Split();
}

std::optional<std::vector<std::string>> SplitPattern(std::string_view line) {
  return Splitter(line, true).Split();
}

bool MatchesStar(std::string_view pattern, std::string_view text) {
  // The last star is where it goes back to: linear in both for each star.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool MatchesCommand(const std::vector<std::string>& pattern, const std::vector<std::string>& argv) {
  size_t p = 0;
  size_t a = 0;
  size_t star = pattern.size();
  size_t resume = 0;
  while (a < argv.size()) {
    if (p < pattern.size() && pattern[p] == "*") {
      star = p++;
      resume = a;
    } else if (p < pattern.size() && MatchesStar(pattern[p], argv[a])) {
      ++a;
      if (++p == pattern.size() && pattern.back().ends_with('*')) return true;
    } else if (star < pattern.size()) {
      p = star + 1;
      a = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == "*") ++p;
  return p == pattern.size();
}

}  // namespace cordon::policy
