// Which added file is a deleted one with another name.

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include "shadow/changes.h"

namespace cordon::shadow {
namespace {

constexpr size_t kMaxTextBytes = 1 << 20;
constexpr size_t kMaxPairs = 4096;  // that are compared line by line
constexpr double kEnough = 0.6;

using Lines = std::unordered_map<std::string_view, size_t>;

Lines CountLines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    ++lines[line];
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

// The part of all bytes that lies in lines which both have.
double Similarity(std::string_view a, std::string_view b) {
  const auto larger = static_cast<double>(std::max(a.size(), b.size()));
  const auto smaller = static_cast<double>(std::min(a.size(), b.size()));
  if (larger == 0 || smaller < kEnough * larger) return 0;
  const Lines left = CountLines(a);
  size_t common = 0;
  for (const auto& [line, count] : CountLines(b)) {
    const auto found = left.find(line);
    if (found != left.end()) common += std::min(count, found->second) * (line.size() + 1);
  }
  return static_cast<double>(common) / larger;
}

class Finder {
 public:
  Finder(const Sides& sides, ChangeSet* set) : sides_(sides), set_(*set) {}

  void Find() {
    for (Change& change : set_.changes) {
      if (change.kind == ChangeKind::kAdd && IsPlainFile(change.after)) added_.push_back(&change);
      if (change.kind == ChangeKind::kDelete && IsPlainFile(change.before))
        deleted_.push_back(&change);
    }
    if (added_.empty() || deleted_.empty()) return;
    FindExact();
    Drop();
    const size_t pairs = added_.size() * deleted_.size();
    if (pairs > 0 && pairs <= kMaxPairs) FindSimilar();
  }

 private:
  // An empty file is like any other.
  static bool IsPlainFile(const std::optional<Node>& node) {
    return node && node->type == NodeType::kFile && node->size > 0;
  }

  static void Join(Change& added, Change& deleted) {
    added.renamed_from = deleted.path;
    added.before = deleted.before;
    deleted.renamed_to = added.path;
  }

  void FindExact() {
    std::multimap<uint64_t, Change*> by_size;
    for (Change* change : added_) by_size.emplace(change->after->size, change);
    for (Change* deleted : deleted_) {
      const auto [begin, end] = by_size.equal_range(deleted->before->size);
      if (begin == end) continue;
      deleted->before->sha256 = BaseDigest(sides_, deleted->path);
      if (!deleted->before->sha256) continue;
      const auto found = std::find_if(begin, end, [&](const auto& entry) {
        return entry.second->after->sha256 == deleted->before->sha256;
      });
      if (found == end) continue;
      found->second->content_differs = false;
      Join(*found->second, *deleted);
      by_size.erase(found);
    }
  }

  void Drop() {
    std::erase_if(added_, [](const Change* change) { return !change->renamed_from.empty(); });
    std::erase_if(deleted_, [](const Change* change) { return !change->renamed_to.empty(); });
  }

  void FindSimilar() {
    std::map<const Change*, std::string> texts;
    for (const Change* change : added_) {
      Result<std::string> text = sides_.files.Read(change->path, kMaxTextBytes);
      if (text && text->find('\0') == std::string::npos) texts[change] = std::move(*text);
    }
    for (Change* deleted : deleted_) {
      const std::optional<std::string> old = BaseContents(sides_, deleted->path, kMaxTextBytes);
      if (!old || old->find('\0') != std::string::npos) continue;
      Change* best = nullptr;
      double best_similarity = kEnough;
      for (Change* added : added_) {
        if (!added->renamed_from.empty() || !texts.contains(added)) continue;
        const double similarity = Similarity(*old, texts[added]);
        if (similarity < best_similarity) continue;
        best = added;
        best_similarity = similarity;
      }
      if (best != nullptr) Join(*best, *deleted);
    }
  }

  const Sides& sides_;
  ChangeSet& set_;
  std::vector<Change*> added_;
  std::vector<Change*> deleted_;
};

}  // namespace

void FindRenames(const Sides& sides, ChangeSet* set) {
  Finder(sides, set).Find();
}

}  // namespace cordon::shadow
