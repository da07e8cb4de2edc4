#include "policy/starter.h"

#include <algorithm>
#include <iterator>

#include "policy/forms.h"
#include "policy/managers.h"

namespace cordon::policy {
namespace {

struct Language {
  std::string_view name;
  std::string_view manager;
};
constexpr Language kLanguages[] = {{"node", "npm"},     {"python", "pip"},   {"rust", "cargo"},
                                   {"php", "composer"}, {"ruby", "bundler"}, {"polyglot", "any"}};

constexpr std::string_view kGenericInstall = R"(  install:
    role: install
    network: 'off'    # 'on', with the hosts in network_allow
    writable_paths: []

dispatch:
  install:
    match: ['make deps*']
    profile: install
)";

constexpr std::string_view kUserHead =
    R"(# Your own policy. Files of projects can only narrow what it grants; what they ask for beyond it
# needs `cordon trust`.
version: 1

grants:
  workspace: paths
  network_allow: []
  environment: []
  mounts: []
)";

class StarterWriter {
 public:
  explicit StarterWriter(FileKind kind) : kind_(kind) {}

  template <typename Section>
  void Write(Section& section, const std::string& indent, std::string_view item = "") {
    bool is_first = true;
    VisitFields(section, [&](const FieldInfo& info, auto& member) {
      if ((info.files & 1U << static_cast<unsigned>(kind_)) == 0 ||
          std::string_view(info.name) == "version")
        return;
      const std::string lead =
          indent + (is_first ? std::string(item) : std::string(item.size(), ' '));
      is_first = false;
      WriteField(info, member, lead, indent + std::string(item.size(), ' '));
    });
  }
  std::string Take() { return std::move(text_); }

 private:
  void Line(const std::string& words, const char* text) {
    constexpr size_t kColumn = 34;
    std::string line = "# " + words;
    line.resize(std::max(line.size() + 1, kColumn), ' ');
    text_ += line + "# " + text + "\n";
  }

  template <typename Member>
  void WriteField(const FieldInfo& info, Member& member, const std::string& lead,
                  const std::string& indent) {
    const std::string name = lead + info.name + ":";
    if constexpr (requires { member.fields; }) {
      Line(name, info.text);
      Write(member.fields, indent + "  ");
    } else if constexpr (requires { typename Member::Item; }) {
      Line(name, info.text);
      typename Member::Item example;
      if constexpr (requires { example.name; }) {
        text_ += "# " + indent + "  NAME:\n";
        Write(example.fields, indent + "    ");
      } else {
        Write(example.fields, indent + "  ", "- ");
      }
    } else {
      const bool is_switch = info.fallback == "off" || info.fallback == "on";
      const std::string value =
          is_switch ? "'" + std::string(info.fallback) + "'" : std::string(info.fallback);
      Line(value.empty() ? name : name + " " + value, info.text);
    }
  }

  FileKind kind_;
  std::string text_;
};

// As a text of YAML, whatever is in it.
std::string Quoted(const std::string& word) {
  std::string text = "'";
  for (const char letter : word) text += letter == '\'' ? "''" : std::string(1, letter);
  return text + "'";
}

std::string TextLine(const std::string& indent, const char* name, const std::string& value) {
  return value.empty() ? "" : indent + name + ": " + Quoted(value) + "\n";
}

std::string ListLine(const std::string& indent, const char* name,
                     const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::vector<std::string> quoted;
  std::ranges::transform(words, std::back_inserter(quoted), Quoted);
  return indent + name + ": [" + ListText(quoted) + "]\n";
}

std::string Reference(FileKind kind) {
  StarterWriter writer(kind);
  Document document;
  writer.Write(document, "");
  return "\n# Everything that can be said here, with its default.\n#\n" + writer.Take();
}

}  // namespace

std::string ListText(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Manager& manager : Managers()) names.emplace_back(manager.name);
  for (const Language& language : kLanguages) names.emplace_back(language.name);
  names.emplace_back("generic");
  return names;
}

std::string DetectManager(const Beneath& workspace, std::vector<std::string>* ambiguous) {
  std::vector<std::string> by_lockfile;
  std::string by_manifest;
  const auto has = [&](const std::string& path) {
    return workspace.Inspect(PathComponents(path)) == Found::kFile;
  };
  for (const Manager& manager : Managers()) {
    if (std::ranges::any_of(SplitList(manager.lockfiles), has))
      by_lockfile.emplace_back(manager.name);
    if (by_manifest.empty() && std::ranges::any_of(SplitList(manager.manifests), has))
      by_manifest = manager.name;
  }
  if (by_lockfile.size() > 1) *ambiguous = by_lockfile;
  if (by_lockfile.size() == 1) return by_lockfile.front();
  return by_lockfile.empty() ? by_manifest : "";
}

std::string UserStarterText() {
  return std::string(kUserHead) + Reference(FileKind::kUser);
}

std::string ProjectStarterText(const ProjectChoices& choices) {
  const Language* language = std::ranges::find(kLanguages, choices.preset, &Language::name);
  const std::string_view manager =
      language != std::end(kLanguages) ? language->manager : std::string_view(choices.preset);
  const bool has_manager = FindManager(manager) != nullptr || manager == "any";
  std::string text = "version: 1\n";
  if (!choices.image.empty()) text += "\nimage:\n  ref: " + Quoted(choices.image) + "\n";
  const std::string paths = ListLine("  ", "writable_paths", choices.writable_paths) +
                            ListLine("  ", "exclude_paths", choices.exclude_paths);
  if (!paths.empty() || !has_manager) text += "\nworkspace:\n  root: .\n" + paths;
  if (!choices.variables.empty()) {
    text += "\nenvironment:\n" + ListLine("  ", "pass_through", choices.variables);
  }
  const std::string limits =
      TextLine("  ", "memory", choices.memory) + TextLine("  ", "wall_time", choices.wall_time);
  if (!limits.empty()) text += "\nlimits:\n" + limits;
  if (has_manager) text += "\npackage_manager:\n  name: " + std::string(manager) + "\n";
  if (!choices.hosts.empty() || !has_manager) {
    text += "\nprofiles:\n  default:            # every command that no rule names\n";
    text += choices.hosts.empty()
                ? "    network: 'off'\n"
                : "    network: 'on'\n" + ListLine("    ", "network_allow", choices.hosts);
  }
  if (!has_manager) text += kGenericInstall;
  return text + Reference(FileKind::kCordon);
}

}  // namespace cordon::policy
