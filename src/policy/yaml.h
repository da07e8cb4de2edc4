#ifndef CORDON_POLICY_YAML_H_
#define CORDON_POLICY_YAML_H_

// A YAML document as a tree in which everything knows its place. libyaml reads; this is what it
// read, bounded, without tags, with aliases resolved and with no key twice.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon::policy {

// Both count from 1; a column is a character. Line 0: not from a file.
struct Mark {
  int line = 0;
  int column = 0;
};

// "file:line:column".
[[nodiscard]] std::string PlaceText(const std::string& file, Mark mark);

struct YamlEntry;

struct YamlNode {
  enum class Kind { kScalar, kSequence, kMapping };
  Kind kind = Kind::kScalar;
  Mark mark;
  std::string text;                // of a scalar
  bool quoted = false;             // a scalar that is text whatever it looks like
  std::vector<YamlNode> items;     // of a sequence
  std::vector<YamlEntry> entries;  // of a mapping, in the order of the file

  // Nothing was written, or `null` or `~`.
  [[nodiscard]] bool IsNull() const;
  // "a list", for messages.
  [[nodiscard]] const char* KindName() const;
};

struct YamlEntry {
  std::string key;
  Mark mark;
  YamlNode value;
};

// The one document in `text`; empty text is an empty mapping. What is wrong is appended to
// `errors`, with places in `file`; the tree is whole only if nothing was appended.
[[nodiscard]] YamlNode ReadYaml(std::string_view text, const std::string& file,
                                std::vector<Error>* errors);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_YAML_H_
