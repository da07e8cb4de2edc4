#include "policy/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace cordon::policy {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxNodes = 20'000;  // aliases count as often as they are used
constexpr int kMaxDepth = 32;

Mark MarkOf(const yaml_mark_t& mark) {
  return {static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1};
}

std::string Text(const yaml_char_t* text, size_t size) {
  return {reinterpret_cast<const char*>(text), size};
}
std::string Text(const yaml_char_t* text) {
  return text == nullptr ? std::string() : reinterpret_cast<const char*>(text);
}

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event_); }
  yaml_event_t* get() { return &event_; }
  yaml_event_t* operator->() { return &event_; }

 private:
  yaml_event_t event_ = {};
};

class Reader {
 public:
  Reader(std::string_view text, const std::string& file, std::vector<Error>* errors)
      : file_(file), errors_(errors) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { yaml_parser_delete(&parser_); }

  YamlNode ReadDocument();

 private:
  bool Next(Event& event);
  std::optional<YamlNode> ReadNode(Event& event, int depth);
  std::optional<YamlNode> ReadScalar(Event& event);
  std::optional<YamlNode> ReadAlias(Event& event);
  bool ReadItems(YamlNode& node, int depth);
  bool ReadEntries(YamlNode& node, int depth);
  bool ReadEntry(YamlNode& node, Event& key, std::map<std::string, Mark>& seen, int depth);
  bool IsWithinBounds(Mark mark, size_t nodes, int depth);
  bool HasPlainTag(const yaml_char_t* tag, Mark mark);
  void Report(Mark mark, std::string message) {
    errors_->push_back({ErrorCode::kInvalid, std::move(message), PlaceText(file_, mark), 0});
  }

  yaml_parser_t parser_ = {};
  const std::string& file_;
  std::vector<Error>* errors_;
  std::map<std::string, std::pair<YamlNode, size_t>> anchors_;  // with their number of nodes
  size_t nodes_ = 0;
};

// False when libyaml cannot go on.
bool Reader::Next(Event& event) {
  if (yaml_parser_parse(&parser_, event.get()) != 0) return true;
  const char* problem = parser_.problem;
  std::string message = problem != nullptr ? problem : "cannot be read";
  if (parser_.context != nullptr) message += std::string(" (") + parser_.context + ")";
  Report(MarkOf(parser_.problem_mark), "not YAML: " + message);
  return false;
}

bool Reader::IsWithinBounds(Mark mark, size_t nodes, int depth) {
  nodes_ += nodes;
  if (nodes_ > kMaxNodes) {
    Report(mark, "more than " + std::to_string(kMaxNodes) + " values");
    return false;
  }
  if (depth > kMaxDepth) {
    Report(mark, "nested deeper than " + std::to_string(kMaxDepth));
    return false;
  }
  return true;
}

bool Reader::HasPlainTag(const yaml_char_t* tag, Mark mark) {
  if (tag == nullptr) return true;
  Report(mark, "tags are not supported: " + Text(tag));
  return false;
}

std::optional<YamlNode> Reader::ReadScalar(Event& event) {
  const auto& scalar = event->data.scalar;
  YamlNode node;
  node.mark = MarkOf(event->start_mark);
  node.text = Text(scalar.value, scalar.length);
  node.quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
  // No name, path or value of the operating system can hold one.
  if (node.text.find('\0') != std::string::npos) {
    Report(node.mark, "a NUL character");
    return std::nullopt;
  }
  return node;
}

std::optional<YamlNode> Reader::ReadAlias(Event& event) {
  const Mark mark = MarkOf(event->start_mark);
  const std::string name = Text(event->data.alias.anchor);
  const auto found = anchors_.find(name);
  if (found == anchors_.end()) {
    Report(mark, "no anchor '" + name + "' before this alias");
    return std::nullopt;
  }
  if (!IsWithinBounds(mark, found->second.second, 0)) return std::nullopt;
  return found->second.first;
}

std::optional<YamlNode> Reader::ReadNode(Event& event, int depth) {
  const Mark mark = MarkOf(event->start_mark);
  const size_t before = nodes_;
  if (!IsWithinBounds(mark, 1, depth)) return std::nullopt;
  std::optional<YamlNode> node;
  std::string anchor;
  switch (event->type) {
    case YAML_ALIAS_EVENT:
      return ReadAlias(event);
    case YAML_SCALAR_EVENT:
      anchor = Text(event->data.scalar.anchor);
      if (!HasPlainTag(event->data.scalar.tag, mark)) return std::nullopt;
      node = ReadScalar(event);
      break;
    case YAML_SEQUENCE_START_EVENT:
      anchor = Text(event->data.sequence_start.anchor);
      if (!HasPlainTag(event->data.sequence_start.tag, mark)) return std::nullopt;
      node = YamlNode{YamlNode::Kind::kSequence, mark};
      if (!ReadItems(*node, depth)) return std::nullopt;
      break;
    case YAML_MAPPING_START_EVENT:
      anchor = Text(event->data.mapping_start.anchor);
      if (!HasPlainTag(event->data.mapping_start.tag, mark)) return std::nullopt;
      node = YamlNode{YamlNode::Kind::kMapping, mark};
      if (!ReadEntries(*node, depth)) return std::nullopt;
      break;
    default:
      Report(mark, "not YAML: a value is missing");
      return std::nullopt;
  }
  if (node && !anchor.empty()) anchors_[anchor] = {*node, nodes_ - before};
  return node;
}

bool Reader::ReadItems(YamlNode& node, int depth) {
  for (;;) {
    Event event;
    if (!Next(event)) return false;
    if (event->type == YAML_SEQUENCE_END_EVENT) return true;
    std::optional<YamlNode> item = ReadNode(event, depth + 1);
    if (!item) return false;
    node.items.push_back(std::move(*item));
  }
}

bool Reader::ReadEntry(YamlNode& node, Event& key, std::map<std::string, Mark>& seen, int depth) {
  const std::optional<YamlNode> name = ReadNode(key, depth + 1);
  if (!name) return false;
  if (name->kind != YamlNode::Kind::kScalar) {
    Report(name->mark, "a key must be a word, not " + std::string(name->KindName()));
    return false;
  }
  const auto [first, is_new] = seen.emplace(name->text, name->mark);
  if (!is_new) {
    Report(name->mark, "'" + name->text + "' is here twice, first in line " +
                           std::to_string(first->second.line));
  }
  Event event;
  if (!Next(event)) return false;
  std::optional<YamlNode> value = ReadNode(event, depth + 1);
  if (!value) return false;
  if (is_new) node.entries.push_back({name->text, name->mark, std::move(*value)});
  return true;
}

bool Reader::ReadEntries(YamlNode& node, int depth) {
  std::map<std::string, Mark> seen;
  for (;;) {
    Event key;
    if (!Next(key)) return false;
    if (key->type == YAML_MAPPING_END_EVENT) return true;
    if (!ReadEntry(node, key, seen, depth)) return false;
  }
}

YamlNode Reader::ReadDocument() {
  YamlNode root = {YamlNode::Kind::kMapping, {1, 1}};
  for (bool has_document = false;;) {
    Event event;
    if (!Next(event) || event->type == YAML_STREAM_END_EVENT) return root;
    if (event->type == YAML_DOCUMENT_START_EVENT && std::exchange(has_document, true)) {
      Report(MarkOf(event->start_mark), "a second document");
      return root;
    }
    if (event->type == YAML_STREAM_START_EVENT || event->type == YAML_DOCUMENT_START_EVENT ||
        event->type == YAML_DOCUMENT_END_EVENT) {
      continue;
    }
    std::optional<YamlNode> node = ReadNode(event, 0);
    if (!node) return root;
    if (!node->IsNull()) root = std::move(*node);
  }
}

}  // namespace

std::string PlaceText(const std::string& file, Mark mark) {
  if (mark.line == 0) return file;
  return file + ":" + std::to_string(mark.line) + ":" + std::to_string(mark.column);
}

bool YamlNode::IsNull() const {
  return kind == Kind::kScalar && !quoted && (text.empty() || text == "null" || text == "~");
}

const char* YamlNode::KindName() const {
  switch (kind) {
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  return IsNull() ? "nothing" : "a word";
}

YamlNode ReadYaml(std::string_view text, const std::string& file, std::vector<Error>* errors) {
  if (text.size() > kMaxBytes) {
    errors->push_back({ErrorCode::kLimit, "larger than 1 MiB", file, 0});
    return {YamlNode::Kind::kMapping, {1, 1}};
  }
  return Reader(text, file, errors).ReadDocument();
}

}  // namespace cordon::policy
