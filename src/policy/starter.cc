#include "policy/starter.h"

#include <algorithm>

#include "policy/forms.h"
#include "policy/managers.h"

namespace cordon::policy {
namespace {

struct Language {
  std::string_view name;
  std::string_view manager;
};
constexpr Language kLanguages[] = {{"node", "npm"},
                                   {"python", "pip"},
                                   {"rust", "cargo"},
                                   {"php", "composer"},
                                   {"ruby", "bundler"}};

constexpr std::string_view kGeneric = R"(workspace:
  root: .

profiles:
  default:            # every command that no rule names
    network: 'off'
  install:
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

std::string Reference(FileKind kind) {
  StarterWriter writer(kind);
  Document document;
  writer.Write(document, "");
  return "\n# Everything that can be said here, with its default.\n#\n" + writer.Take();
}

}  // namespace

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

std::string StarterText(FileKind kind, std::string_view preset) {
  if (kind == FileKind::kUser) return std::string(kUserHead) + Reference(kind);
  std::string text = "version: 1\n\n";
  const Language* language = std::ranges::find(kLanguages, preset, &Language::name);
  const std::string_view manager = language != std::end(kLanguages) ? language->manager : preset;
  if (FindManager(manager) != nullptr) {
    text += "package_manager:\n  name: " + std::string(manager) + "\n";
  } else {
    text += kGeneric;
  }
  return text + Reference(kind);
}

}  // namespace cordon::policy
