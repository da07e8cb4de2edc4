#include "shadow/report.h"

#include <cstdio>

#include "base/plain_text.h"
#include "shadow/quote.h"
#include "shadow/text_diff.h"

namespace cordon::shadow {
namespace {

constexpr size_t kMaxTexts = 16 << 20;  // bytes of all texts
constexpr size_t kMaxListed = 50;       // of what was not imported

bool IsFile(const std::optional<Node>& node) {
  return node && node->type == NodeType::kFile;
}

class TextMaker {
 public:
  explicit TextMaker(const Sides& sides) : sides_(sides) {}

  void Make(ReportedChange* reported) {
    const Change& change = reported->change;
    if (!change.problem.empty() || !change.content_differs || !change.renamed_to.empty()) return;
    if (!IsFile(change.before) && !IsFile(change.after)) return;
    if (left_ == 0) {
      reported->no_text = "left out: the texts together are longer than 16 MiB";
      return;
    }
    const std::optional<std::string> before = Before(change, reported);
    const std::optional<std::string> after = before ? After(change, reported) : std::nullopt;
    if (!before || !after) return;
    if (IsBinary(*before) || IsBinary(*after)) {
      reported->no_text = "binary";
      return;
    }
    Result<std::string> text = DiffTexts(*before, *after);
    if (!text) {
      reported->no_text = text.error().ToString();
      return;
    }
    left_ -= std::min(left_, text->size());
    reported->text = std::move(*text);
  }

 private:
  std::optional<std::string> Before(const Change& change, ReportedChange* reported) const {
    if (!IsFile(change.before)) return std::string();
    if (change.before->size > kMaxDiffInput) {
      reported->no_text = "larger than 1 MiB";
      return std::nullopt;
    }
    const std::string& path = change.renamed_from.empty() ? change.path : change.renamed_from;
    std::optional<std::string> text = BaseContents(sides_, path, kMaxDiffInput);
    if (!text) reported->no_text = "the workspace has changed since, and what it had is not known";
    return text;
  }

  std::optional<std::string> After(const Change& change, ReportedChange* reported) const {
    if (!IsFile(change.after)) return std::string();
    if (change.after->size > kMaxDiffInput) {
      reported->no_text = "larger than 1 MiB";
      return std::nullopt;
    }
    Result<std::string> text = sides_.files.Read(change.path, kMaxDiffInput);
    if (text) return std::move(*text);
    reported->no_text = text.error().ToString();
    return std::nullopt;
  }

  const Sides& sides_;
  size_t left_ = kMaxTexts;
};

std::string ModeText(const Node& node) {
  char text[16];
  (void)snprintf(text, sizeof text, "%04o", node.mode);
  return text;
}

std::string Describe(const Node& node) {
  if (node.type == NodeType::kLink) return "link -> " + QuoteName(node.target);
  return std::string(TypeName(node.type)) + " " + ModeText(node);
}

// What of a node is different, beside the contents of a file.
std::string Difference(const Change& change) {
  if (!change.problem.empty()) return {};
  if (!change.after) return TypeName(change.before->type);
  if (!change.before) return Describe(*change.after);
  if (change.before->type != change.after->type || change.after->type == NodeType::kLink)
    return Describe(*change.before) + " => " + Describe(*change.after);
  if (change.before->mode != change.after->mode)
    return "mode " + ModeText(*change.before) + " => " + ModeText(*change.after);
  return {};
}

std::string Line(const ReportedChange& reported) {
  const Change& change = reported.change;
  std::string line;
  if (!change.renamed_from.empty()) {
    line = "rename  " + QuoteName(change.renamed_from) + " => " + QuoteName(change.path);
  } else {
    line = KindName(change.kind);
    line.resize(8, ' ');
    line += QuoteName(change.path);
  }
  if (const std::string difference = Difference(change); !difference.empty())
    line += "  (" + difference + ")";
  line += "\n";
  const auto add = [&](const std::string& label, const std::string& text) {
    line += "        " + label + PlainLine(text) + "\n";
  };
  if (!reported.verdict.refusal.empty()) add("not committed: ", reported.verdict.refusal);
  if (!reported.conflict.empty()) add("conflict: ", reported.conflict);
  for (const std::string& note : reported.verdict.notes) add("note: ", note);
  return line;
}

void AppendTexts(const ReportedChange& reported, bool is_raw, std::string* out) {
  const Change& change = reported.change;
  if (!reported.no_text.empty())
    *out += "no text of " + QuoteName(change.path) + ": " + PlainLine(reported.no_text) + "\n";
  if (!reported.text || reported.text->empty()) return;
  const std::string& old = change.renamed_from.empty() ? change.path : change.renamed_from;
  *out += "--- " + (IsFile(change.before) ? QuoteName("a/" + old) : "/dev/null") + "\n";
  *out += "+++ " + (IsFile(change.after) ? QuoteName("b/" + change.path) : "/dev/null") + "\n";
  if (is_raw) {
    *out += *reported.text;
    return;
  }
  std::string_view text = *reported.text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    *out += PlainLine(line) + "\n";
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
}

}  // namespace

Report MakeReport(const ShadowInfo& info, const Sides& sides, ChangeSet set, Texts texts) {
  Report report = {info, {}, std::move(set.not_imported)};
  TextMaker maker(sides);
  for (Change& change : set.changes) {
    ReportedChange reported;
    reported.verdict = Judge(change);
    reported.change = std::move(change);
    if (texts == Texts::kYes) maker.Make(&reported);
    report.changes.push_back(std::move(reported));
  }
  return report;
}

Tally Count(const Report& report) {
  Tally tally;
  for (const ReportedChange& reported : report.changes) {
    switch (reported.change.kind) {
      case ChangeKind::kAdd:
        ++tally.adds;
        break;
      case ChangeKind::kModify:
        ++tally.modifies;
        break;
      case ChangeKind::kDelete:
        ++tally.deletes;
        break;
    }
  }
  return tally;
}

std::string TallyText(const Tally& tally) {
  return "+" + std::to_string(tally.adds) + " ~" + std::to_string(tally.modifies) + " -" +
         std::to_string(tally.deletes);
}

std::string ReportText(const Report& report, bool is_raw) {
  std::string out;
  for (const ReportedChange& reported : report.changes) {
    // The other half says it.
    if (reported.change.renamed_to.empty()) out += Line(reported);
  }
  size_t listed = 0;
  for (const NotImported& absent : report.not_imported) {
    if (++listed > kMaxListed) continue;
    out += "absent  " + QuoteName(absent.path) + "  (" + PlainLine(absent.why) + ")\n";
  }
  if (listed > kMaxListed)
    out += "absent  " + std::to_string(listed - kMaxListed) + " more; --json lists all\n";
  for (const ReportedChange& reported : report.changes) AppendTexts(reported, is_raw, &out);
  out += "status: " + TallyText(Count(report)) + "\n";
  return out;
}

}  // namespace cordon::shadow
