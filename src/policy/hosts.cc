#include "policy/hosts.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "policy/forms.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
constexpr size_t kMaxBytes = 32 << 20;

constexpr std::string_view kEndOfAddress = " \t\r\n\"'`<>,;|()[]{}";

// The hosts of a value: addresses with blanks, commas or bars between them, or the name of one
// host.
std::vector<HostRule> HostsOf(std::string_view value) {
  std::vector<HostRule> hosts;
  std::string words(value);
  std::ranges::replace_if(
      words, [](char c) { return kEndOfAddress.find(c) != std::string_view::npos; }, ' ');
  for (std::string_view word : SplitList(words)) {
    // GOSUMDB: a host, a key, perhaps an address. uv: name=address.
    if (const size_t scheme = word.find("://"); scheme != std::string_view::npos) {
      if (const size_t equals = word.substr(0, scheme).rfind('=');
          equals != std::string_view::npos) {
        word.remove_prefix(equals + 1);
      }
      if (const auto host = HostOfUrl(word)) hosts.push_back(*host);
    } else if (word.find('.') != std::string_view::npos &&
               word.find('/') == std::string_view::npos) {
      auto host = ParseHostRule(word.substr(0, word.find('+')));
      if (!host || host->kind != HostRule::Kind::kName) continue;
      if (host->port == 0) host->port = 443;
      hosts.push_back(*host);
    }
  }
  return hosts;
}

// A user and a password, or a token, in an address or under a key for one.
bool HoldsSecret(const Pairs& pairs) {
  return std::ranges::any_of(pairs, [](const auto& pair) {
    const auto& [key, value] = pair;
    for (const std::string_view word : {"_auth", "_password", "password", "token", "secret"}) {
      std::string lower(key);
      std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      });
      if (lower.find(word) != std::string::npos && !value.empty()) return true;
    }
    const size_t scheme = value.find("://");
    if (scheme == std::string::npos) return false;
    const std::string_view rest = std::string_view(value).substr(scheme + 3);
    return rest.substr(0, rest.find('/')).find('@') != std::string_view::npos;
  });
}

constexpr std::string_view kBeside = " (beside)";

// poetry's sources of these priorities leave the default where it is.
void MarkBeside(Pairs* pairs) {
  constexpr std::string_view kEnd = ".priority";
  const Pairs all = *pairs;
  for (const auto& [key, value] : all) {
    if (!key.ends_with(kEnd) || (value != "supplemental" && value != "explicit")) continue;
    const std::string url = key.substr(0, key.size() - kEnd.size()) + ".url";
    for (auto& [other, _] : *pairs) {
      if (other == url) other += kBeside;
    }
  }
}

// An index for some packages, or one more: what nothing else says about comes from the default.
bool IsBesideDefault(std::string_view key, std::string_view file) {
  constexpr std::string_view kSigns[] = {":registry", "Scopes",     "scopes",     "extra",
                                         "EXTRA",     "find-links", "FIND_LINKS", kBeside};
  if (key == "-f" || key == "@" || key.starts_with("repositories.")) return true;
  return std::ranges::any_of(kSigns, [&](std::string_view sign) {
    return key.find(sign) != std::string_view::npos ||
           (key.empty() && file.find(sign) != std::string_view::npos);
  });
}

class Finder {
 public:
  Finder(const Manager& manager, const Beneath& workspace, const std::string& root,
         const std::string& program, const Surroundings& around)
      : manager_(manager), workspace_(workspace), root_(root), program_(program), around_(around) {}

  ManagerHosts Find() {
    for (const HostSource& source : HostSources()) {
      if (source.manager == manager_.name && source.level != SourceLevel::kBuiltin) Visit(source);
    }
    // The program's own default is used only where nothing named another index.
    if (has_index_) return std::move(result_);
    for (const HostSource& source : HostSources()) {
      if (source.manager == manager_.name && source.level == SourceLevel::kBuiltin) Visit(source);
    }
    return std::move(result_);
  }

 private:
  void Visit(const HostSource& source) {
    switch (source.level) {
      case SourceLevel::kVariable:
        return VisitVariable(source);
      case SourceLevel::kProject:
      case SourceLevel::kLockfile:
        return VisitWorkspaceFile(source);
      case SourceLevel::kUser:
        if (!around_.home.empty())
          VisitHostFile(source, around_.home + "/" + std::string(source.where));
        return;
      case SourceLevel::kMachine:
      case SourceLevel::kBuiltin:
        for (const std::string& path : HostPaths(source.where)) VisitHostFile(source, path);
    }
  }

  void VisitVariable(const HostSource& source) {
    const std::string name(source.where);
    const std::string value = around_.Variable(name);
    if (value.empty()) return;
    const size_t before = result_.hosts.size();
    Take(source, name, {{"", value}});
    if (result_.hosts.size() > before && !HoldsSecret({{"", value}}))
      result_.variables.push_back(name);
  }

  void VisitWorkspaceFile(const HostSource& source) {
    const std::string path(source.where);
    const Result<std::string> text = workspace_.Read(PathComponents(path), kMaxBytes);
    if (text) Take(source, path, PairsOf(source, *text));
  }

  void VisitHostFile(const HostSource& source, const std::string& path) {
    const Result<std::string> text = ReadHostFile(path, kMaxBytes);
    if (!text) return;
    const std::string real = RealPath(path);
    if (IsWithin(real, root_)) {
      // A virtual environment in the workspace, a manager that the project installed.
      HostSource as_project = source;
      as_project.level = SourceLevel::kProject;
      return Take(as_project, real.substr(std::min(real.size(), root_.size() + 1)),
                  PairsOf(source, *text));
    }
    const size_t before = result_.hosts.size();
    Take(source, path, PairsOf(source, *text));
    if (source.level == SourceLevel::kBuiltin) return;
    const bool is_text = source.format == SourceFormat::kText;
    if (is_text && result_.hosts.size() == before) return;
    const bool is_secret = !is_text && HoldsSecret(Flatten(source.format, *text));
    (is_secret ? result_.secret_files : result_.files).push_back(path);
  }

  // "@/": beside the program; "@NAME/": beside that one. "$NAME": a variable that holds a path.
  // With `*`: all there are.
  [[nodiscard]] std::vector<std::string> HostPaths(std::string_view where) const {
    std::string path(where);
    if (path.starts_with('@')) {
      const size_t slash = path.find('/');
      const std::string program =
          slash == 1 ? program_ : RealPath(around_.FindProgram(path.substr(1, slash - 1)));
      if (program.empty()) return {};
      path = program.substr(0, program.rfind('/')) + path.substr(slash);
    } else if (path.starts_with('$')) {
      const size_t slash = std::min(path.find('/'), path.size());
      const std::string value = around_.Variable(path.substr(1, slash - 1));
      if (!value.starts_with('/')) return {};
      path = value + path.substr(slash);
    } else if (path.starts_with("~/")) {
      if (around_.home.empty()) return {};
      path = around_.ExpandHome(path);
    }
    path = AbsolutePath("/", path);
    if (path.find('*') == std::string::npos) return {path};
    std::vector<std::string> paths;
    glob_t found = {};
    if (glob(path.c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    }
    globfree(&found);
    return paths;
  }

  static Pairs PairsOf(const HostSource& source, std::string_view text) {
    if (source.format == SourceFormat::kText) return ScanText(text, source.keys);
    Pairs pairs = Flatten(source.format, text);
    const std::vector<std::string> keys = SplitList(source.keys, '|');
    MarkBeside(&pairs);
    std::erase_if(pairs, [&](const auto& pair) {
      return std::ranges::none_of(keys, [&](const std::string& key) {
        return MatchesStar(key, pair.first.substr(0, pair.first.find(kBeside)));
      });
    });
    return pairs;
  }

  void Take(const HostSource& source, const std::string& file, const Pairs& pairs) {
    const bool is_absolute = file.starts_with('/');
    const std::string shown = is_absolute && !around_.home.empty() && IsWithin(file, around_.home)
                                  ? "~" + file.substr(around_.home.size())
                                  : file;
    for (const auto& [key, value] : pairs) {
      for (HostRule& host : HostsOf(value)) {
        if (source.level != SourceLevel::kLockfile && !IsBesideDefault(key, file))
          has_index_ = true;
        // The name that cargo gave its default index, not where it is.
        if (value.find("/crates.io-index") != std::string::npos) continue;
        if (!said_.emplace(file, host.ToString()).second) continue;
        if (source.level == SourceLevel::kBuiltin && IsKnown(host)) continue;
        std::string place = source.level == SourceLevel::kVariable ? "variable " + shown : shown;
        if (source.level == SourceLevel::kBuiltin)
          place = std::string(manager_.name) + "'s own default in " + shown;
        result_.hosts.push_back({std::move(host), source.level, file, std::move(place)});
      }
    }
  }

  // What a project's file names is another's word, even where it is the same host.
  [[nodiscard]] bool IsKnown(const HostRule& host) const {
    return std::ranges::any_of(result_.hosts, [&](const FoundHost& old) {
      const bool is_projects =
          old.level == SourceLevel::kProject || old.level == SourceLevel::kLockfile;
      return !is_projects && old.rule.ToString() == host.ToString();
    });
  }

  const Manager& manager_;
  const Beneath& workspace_;
  const std::string& root_;
  const std::string& program_;
  const Surroundings& around_;
  ManagerHosts result_;
  std::set<std::pair<std::string, std::string>> said_;  // which file, which host
  bool has_index_ = false;
};

// The rest of the line if `key` stands in `before`, with nothing but blanks, quotes and what
// belongs to an assignment between it and the end.
bool EndsWithKey(std::string_view before, std::string_view key) {
  constexpr std::string_view kBetween = " \t\"'=:({[\n\r";
  const size_t at = before.rfind(key);
  if (at == std::string_view::npos) return false;
  // A key that is a word does not end another word.
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  if (at > 0 && is_letter(key.front()) && is_letter(before[at - 1])) return false;
  std::string_view rest = before.substr(at + key.size());
  if (rest.starts_with("default:")) rest.remove_prefix(8);
  while (!rest.empty()) {
    if (kBetween.find(rest.front()) != std::string_view::npos) {
      rest.remove_prefix(1);
    } else if (rest.starts_with("default:")) {
      rest.remove_prefix(8);
    } else {
      return false;
    }
  }
  return true;
}

// Where the word that ends at `end` begins, or what follows `least`.
size_t StartOfWord(std::string_view text, size_t least, size_t end) {
  while (end > least && kEndOfAddress.find(text[end - 1]) == std::string_view::npos &&
         text[end - 1] != '=') {
    --end;
  }
  return end;
}

}  // namespace

Pairs ScanText(std::string_view text, std::string_view keys) {
  constexpr size_t kReach = 120;  // characters between a key and its address
  Pairs pairs;
  const std::vector<std::string> names = SplitList(keys, '|');
  const auto take = [&](size_t start, size_t most) {
    const std::string_view before =
        text.substr(start - std::min(start, kReach), std::min(start, kReach));
    for (const std::string& name : names) {
      if (!EndsWithKey(before, name)) continue;
      const std::string_view word = text.substr(start, most - start);
      pairs.emplace_back(name, word.substr(0, word.find_first_of(kEndOfAddress)));
      return;
    }
  };
  // From one to the next, so that a hostile file of nothing else is read once.
  size_t seen = 0;
  for (size_t at = text.find("://"); at != std::string_view::npos;) {
    const size_t next = text.find("://", at + 3);
    take(StartOfWord(text, seen, at), std::min(next, text.size()));
    seen = at + 3;
    at = next;
  }
  // Keys with their own end name a host, not an address; the first is the one that counts.
  for (const std::string& name : names) {
    if (!name.ends_with("=") || name.find(' ') != std::string::npos) continue;
    const size_t at = text.find(name);
    if (at == std::string_view::npos) continue;
    const size_t start = text.find_first_not_of("\"'", at + name.size());
    if (start == std::string_view::npos) continue;
    const size_t end = std::min(text.find_first_of(kEndOfAddress, start), text.size());
    pairs.emplace_back(name, text.substr(start, end - start));
  }
  return pairs;
}

ManagerHosts FindHosts(const Manager& manager, const Beneath& workspace, const std::string& root,
                       const std::string& program, const Surroundings& around) {
  return Finder(manager, workspace, root, program, around).Find();
}

}  // namespace cordon::policy
