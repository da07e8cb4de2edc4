#include "policy/document.h"

#include <algorithm>
#include <charconv>
#include <concepts>

#include "base/units.h"
#include "policy/forms.h"

namespace cordon::policy {
namespace {

// "'network' is one letter away": the smallest number of changes that makes one of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row[b.size()];
}

class DocumentReader {
 public:
  DocumentReader(const std::string& file, FileKind kind, std::vector<Error>* errors)
      : file_(file), kind_(kind), errors_(errors) {}

  template <typename Section>
  void ReadSection(Section& section, const YamlNode& node);

 private:
  void Report(Mark mark, std::string message) {
    errors_->push_back({ErrorCode::kInvalid, std::move(message), PlaceText(file_, mark), 0});
  }
  void ReportType(const FieldInfo& info, const YamlNode& node, const char* expected) {
    Report(node.mark,
           std::string(info.name) + ": expected " + expected + ", got " +
               (node.kind == YamlNode::Kind::kScalar && !node.IsNull() ? "'" + node.text + "'"
                                                                       : node.KindName()));
  }
  [[nodiscard]] bool IsInThisFile(const FieldInfo& info) const {
    return (info.files & 1U << static_cast<unsigned>(kind_)) != 0;
  }

  template <typename Section>
  void ReportUnknown(Section& section, const YamlEntry& entry);
  bool ReadWord(const FieldInfo& info, const YamlNode& node, Word* word);

  void Read(const FieldInfo& info, const YamlNode& node, Text& text);
  void Read(const FieldInfo& info, const YamlNode& node, Flag& flag);
  void Read(const FieldInfo& info, const YamlNode& node, Number& number);
  void Read(const FieldInfo& info, const YamlNode& node, Size& size);
  void Read(const FieldInfo& info, const YamlNode& node, Duration& duration);
  void Read(const FieldInfo& info, const YamlNode& node, TextList& list);
  void Read(const FieldInfo& info, const YamlNode& node, TextMap& map);
  void Read(const FieldInfo& info, const YamlNode& node, CapabilityRules& rules);
  void ReadCapabilities(const FieldInfo& info, const YamlNode& node, std::vector<Word>* names);
  template <typename Section>
  void Read(const FieldInfo& info, const YamlNode& node, Nested<Section>& nested);
  template <typename Section>
  void Read(const FieldInfo& info, const YamlNode& node, Each<Section>& each);
  template <typename Section>
  void Read(const FieldInfo& info, const YamlNode& node, Named<Section>& named);

  const std::string& file_;
  FileKind kind_;
  std::vector<Error>* errors_;
};

const YamlEntry* FindEntry(const YamlNode& node, std::string_view key) {
  const auto found = std::ranges::find(node.entries, key, &YamlEntry::key);
  return found == node.entries.end() ? nullptr : &*found;
}

template <typename Section>
void DocumentReader::ReportUnknown(Section& section, const YamlEntry& entry) {
  constexpr size_t kNear = 2;
  std::string message = "unknown key '" + entry.key + "'";
  size_t best = std::min(kNear, entry.key.size() / 2) + 1;
  std::string nearest;
  VisitFields(section, [&](const FieldInfo& info, auto& /*member*/) {
    if (info.name == entry.key) {
      message = "'" + entry.key + "' belongs into " +
                (info.files == kUser ? "your own policy" : "cordon.yaml") + ", not here";
    }
    const size_t distance = EditDistance(entry.key, info.name);
    if (!IsInThisFile(info) || distance >= best) return;
    best = distance;
    nearest = info.name;
  });
  if (!nearest.empty()) message += "; is '" + nearest + "' meant?";
  Report(entry.mark, message);
}

template <typename Section>
void DocumentReader::ReadSection(Section& section, const YamlNode& node) {
  VisitFields(section, [&](const FieldInfo& info, auto& member) {
    const YamlEntry* entry = IsInThisFile(info) ? FindEntry(node, info.name) : nullptr;
    if (entry != nullptr && !entry->value.IsNull()) {
      Read(info, entry->value, member);
      return;
    }
    if (info.fallback.empty()) {
      if constexpr (requires { member.fields; }) ReadSection(member.fields, YamlNode{});
      return;
    }
    // The default is what the file would have said, without being given.
    Read(info, YamlNode{YamlNode::Kind::kScalar, {}, std::string(info.fallback)}, member);
    member.given = false;
  });
  for (const YamlEntry& entry : node.entries) {
    bool is_known = false;
    VisitFields(section, [&](const FieldInfo& info, auto& /*member*/) {
      is_known = is_known || (IsInThisFile(info) && info.name == entry.key);
    });
    if (!is_known) ReportUnknown(section, entry);
  }
}

bool DocumentReader::ReadWord(const FieldInfo& info, const YamlNode& node, Word* word) {
  if (node.kind != YamlNode::Kind::kScalar || node.IsNull()) {
    ReportType(info, node, "a word");
    return false;
  }
  if (const std::string expected = ExpectedForm(info.form, node.text); !expected.empty()) {
    ReportType(info, node, expected.c_str());
    return false;
  }
  *word = {node.text, node.mark};
  return true;
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Text& text) {
  Word word;
  if (ReadWord(info, node, &word)) text = {std::move(word.value), word.mark, true};
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Flag& flag) {
  const bool is_true = node.text == "true" || node.text == "True" || node.text == "TRUE";
  const bool is_false = node.text == "false" || node.text == "False" || node.text == "FALSE";
  if (node.kind != YamlNode::Kind::kScalar || node.quoted || (!is_true && !is_false)) {
    ReportType(info, node, "true or false");
    return;
  }
  flag = {is_true, node.mark, true};
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Number& number) {
  uint64_t value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [at, error] = std::from_chars(node.text.data(), end, value);
  if (node.kind != YamlNode::Kind::kScalar || node.text.empty() || error != std::errc() ||
      at != end || value > uint64_t{1} << 32) {
    ReportType(info, node, "a number");
    return;
  }
  number = {value, node.mark, true};
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Size& size) {
  const Result<uint64_t> bytes = ParseSize(node.text, info.name);
  if (node.kind != YamlNode::Kind::kScalar || !bytes) {
    ReportType(info, node, "a size (64MiB, 1GiB)");
    return;
  }
  size.value = *bytes;
  size.mark = node.mark;
  size.given = true;
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Duration& duration) {
  const Result<std::chrono::milliseconds> time = ParseDuration(node.text, info.name);
  if (node.kind != YamlNode::Kind::kScalar || !time) {
    ReportType(info, node, "a duration (10s, 500ms, 2m, 1h)");
    return;
  }
  duration = {*time, node.mark, true};
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, TextList& list) {
  list.mark = node.mark;
  list.given = true;
  Word word;
  if (node.kind == YamlNode::Kind::kScalar) {
    if (ReadWord(info, node, &word)) list.value.push_back(std::move(word));
    return;
  }
  if (node.kind == YamlNode::Kind::kMapping) ReportType(info, node, "a list");
  for (const YamlNode& item : node.items) {
    if (ReadWord(info, item, &word)) list.value.push_back(std::move(word));
  }
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, TextMap& map) {
  map.mark = node.mark;
  map.given = true;
  if (node.kind != YamlNode::Kind::kMapping) ReportType(info, node, "a mapping");
  const FieldInfo any = {info.name, {}, {}, info.files, info.text};
  for (const YamlEntry& entry : node.entries) {
    Word value = {{}, entry.value.mark};
    if (const std::string expected = ExpectedForm(info.form, entry.key); !expected.empty()) {
      Report(entry.mark,
             std::string(info.name) + ": expected " + expected + ", got '" + entry.key + "'");
    } else if (entry.value.IsNull() || ReadWord(any, entry.value, &value)) {
      map.value.emplace_back(Word{entry.key, entry.mark}, std::move(value));
    }
  }
}

void DocumentReader::ReadCapabilities(const FieldInfo& info, const YamlNode& node,
                                      std::vector<Word>* names) {
  TextList list;
  Read(info, node, list);
  for (Word& word : list.value) {
    std::ranges::transform(word.value, word.value.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    });
    if (word.value.starts_with("CAP_")) word.value.erase(0, 4);
    names->push_back(std::move(word));
  }
}

void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, CapabilityRules& rules) {
  rules.mark = node.mark;
  rules.given = true;
  if (node.kind == YamlNode::Kind::kSequence) {
    ReadCapabilities(info, node, &rules.add);
  } else if (node.kind == YamlNode::Kind::kScalar) {
    if (node.text == "drop-all") {
      rules.drop.push_back({"ALL", node.mark});
    } else {
      ReportType(info, node, "drop-all, a list to add, or {drop, add}");
    }
  }
  for (const YamlEntry& entry : node.entries) {
    if (entry.key == "drop") {
      ReadCapabilities(info, entry.value, &rules.drop);
    } else if (entry.key == "add") {
      ReadCapabilities(info, entry.value, &rules.add);
    } else {
      Report(entry.mark, "unknown key '" + entry.key + "'");
    }
  }
}

template <typename Section>
void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Nested<Section>& nested) {
  nested.mark = node.mark;
  nested.given = true;
  if (node.kind != YamlNode::Kind::kMapping) ReportType(info, node, "a mapping");
  ReadSection(nested.fields, node);
}

template <typename Section>
void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Each<Section>& each) {
  each.given = true;
  if (node.kind != YamlNode::Kind::kSequence) ReportType(info, node, "a list");
  for (const YamlNode& item : node.items) {
    if (item.kind != YamlNode::Kind::kMapping) {
      ReportType(info, item, "a mapping");
      continue;
    }
    each.items.push_back({{}, item.mark});
    ReadSection(each.items.back().fields, item);
  }
}

template <typename Section>
void DocumentReader::Read(const FieldInfo& info, const YamlNode& node, Named<Section>& named) {
  named.given = true;
  if (node.kind != YamlNode::Kind::kMapping) ReportType(info, node, "a mapping");
  for (const YamlEntry& entry : node.entries) {
    if (const std::string expected = ExpectedForm("name", entry.key); !expected.empty()) {
      Report(entry.mark,
             std::string(info.name) + ": expected " + expected + ", got '" + entry.key + "'");
    }
    if (entry.value.kind != YamlNode::Kind::kMapping && !entry.value.IsNull()) {
      ReportType(info, entry.value, "a mapping");
      continue;
    }
    named.items.push_back({{entry.key, entry.mark}, {}});
    ReadSection(named.items.back().fields, entry.value);
  }
}

// Line and column.
std::pair<int, int> PlaceOf(const Error& error, const std::string& file) {
  std::pair<int, int> place;
  const char* end = error.place.data() + error.place.size();
  if (error.place.size() <= file.size() + 1) return place;
  const auto line = std::from_chars(error.place.data() + file.size() + 1, end, place.first);
  if (line.ptr < end) (void)std::from_chars(line.ptr + 1, end, place.second);
  return place;
}

// `before`: so many errors are of something else.
Document ReadTree(const YamlNode& root, const std::string& file, FileKind kind, size_t before,
                  std::vector<Error>* errors) {
  Document document;
  if (root.kind != YamlNode::Kind::kMapping) {
    errors->push_back({ErrorCode::kInvalid,
                       std::string("expected a mapping, got ") + root.KindName(),
                       PlaceText(file, root.mark), 0});
    return document;
  }
  DocumentReader(file, kind, errors).ReadSection(document, root);
  CheckRules(document, file, kind, errors);
  // In the order of the file: whoever mends it goes through it once.
  std::ranges::sort(
      errors->begin() + static_cast<std::ptrdiff_t>(before), errors->end(), {},
      [&](const Error& error) { return std::pair(PlaceOf(error, file), error.message); });
  return document;
}

}  // namespace

Document ReadDocument(std::string_view text, const std::string& file, FileKind kind,
                      std::vector<Error>* errors) {
  const size_t before = errors->size();
  const YamlNode root = ReadYaml(text, file, errors);
  // What could not be read has nothing that could be missing.
  if (errors->size() > before && root.entries.empty()) return {};
  return ReadTree(root, file, kind, before, errors);
}

Document ReadDocument(const YamlNode& root, FileKind kind, std::vector<Error>* errors) {
  return ReadTree(root, "", kind, errors->size(), errors);
}

}  // namespace cordon::policy
