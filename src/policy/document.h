#ifndef CORDON_POLICY_DOCUMENT_H_
#define CORDON_POLICY_DOCUMENT_H_

// A policy file as it was written: every field of schema.def, its default or what the file says,
// each with its place. Nothing is resolved here and nothing of the host is looked at.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "policy/yaml.h"

namespace cordon::policy {

enum class FileKind {
  kSbox,    // sbox.yaml, version 1
  kCordon,  // cordon.yaml of a project
  kUser,    // a user's own policy
};

// The files of schema.def in which a field may be: bits by FileKind.
inline constexpr unsigned kUser = 1U << static_cast<unsigned>(FileKind::kUser);
inline constexpr unsigned kCordon = kUser | 1U << static_cast<unsigned>(FileKind::kCordon);
inline constexpr unsigned kBoth = kCordon | 1U << static_cast<unsigned>(FileKind::kSbox);

struct Word {
  std::string value;
  Mark mark;
};

// A value that is the default unless `given`.
template <typename T>
struct Value {
  T value{};
  Mark mark;
  bool given = false;
};
using Text = Value<std::string>;
using Flag = Value<bool>;
using Number = Value<uint64_t>;
struct Size : Value<uint64_t> {};  // bytes
using Duration = Value<std::chrono::milliseconds>;
using TextList = Value<std::vector<Word>>;  // a single word is a list of one
using TextMap = Value<std::vector<std::pair<Word, Word>>>;

struct CapabilityRules {
  std::vector<Word> drop;  // without CAP_; "ALL" is all
  std::vector<Word> add;
  Mark mark;
  bool given = false;
};

template <typename Section>
struct Nested {
  Section fields;
  Mark mark;
  bool given = false;
};
template <typename Section>
struct Each {
  struct Item {
    Section fields;
    Mark mark;
  };
  std::vector<Item> items;
  bool given = false;
};
// In the order of the file.
template <typename Section>
struct Named {
  struct Item {
    Word name;
    Section fields;
  };
  std::vector<Item> items;
  bool given = false;

  [[nodiscard]] const Item* Find(std::string_view name) const {
    for (const Item& item : items) {
      if (item.name.value == name) return &item;
    }
    return nullptr;
  }
};

// A declaration has no place for parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define POLICY_SECTION(structure, text) struct structure {
#define POLICY_FIELD(type, name, form, fallback, files, text) type name;
#define POLICY_END(structure) \
  }                           \
  ;
#include "policy/schema.def"
#undef POLICY_SECTION
#undef POLICY_FIELD
#undef POLICY_END

// One row of the schema.
struct FieldInfo {
  const char* name;
  std::string_view form;
  std::string_view fallback;
  unsigned files;
  const char* text;
};

// visit(info, member) for each field, in the order of the schema.
#define POLICY_SECTION(structure, text) \
  template <typename Visitor>           \
  void VisitFields(structure& section, Visitor&& visit) {
#define POLICY_FIELD(type, name, form, fallback, files, text) \
  visit(FieldInfo{#name, form, fallback, files, text}, section.name);
#define POLICY_END(structure) }
#include "policy/schema.def"
#undef POLICY_SECTION
#undef POLICY_FIELD
#undef POLICY_END
// NOLINTEND(bugprone-macro-parentheses)

// The document in `text`. Everything that is wrong with it by itself is appended to `errors`:
// unknown keys, wrong types and forms, contradictory rules, each with its place in `file`.
[[nodiscard]] Document ReadDocument(std::string_view text, const std::string& file, FileKind kind,
                                    std::vector<Error>* errors);

// The same of a tree that nobody wrote down: the parser of texts takes longer to get ready than the
// rest of a plan.
[[nodiscard]] Document ReadDocument(const YamlNode& root, FileKind kind,
                                    std::vector<Error>* errors);

// Rules between fields, which the schema does not say; used by ReadDocument.
void CheckRules(const Document& document, const std::string& file, FileKind kind,
                std::vector<Error>* errors);

// "install" by its role or, without one, by its name.
[[nodiscard]] bool IsInstall(const Word& name, const Profile& profile);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_DOCUMENT_H_
