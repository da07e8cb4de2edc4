#include "policy/dispatch.h"

#include <algorithm>
#include <optional>

#include "policy/forms.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

using Argv = std::vector<std::string>;

// A program that only starts another: its words, which options have a value in the next word, and
// how many words stand between its options and the command.
struct Starter {
  std::string_view words;
  std::string_view value_options;
  int positionals;
};
constexpr Starter kStarters[] = {
    {"env", "-u --unset -C --chdir", 0},
    {"nice", "-n --adjustment", 0},
    {"ionice", "-c -n --class --classdata", 0},
    {"nohup", "", 0},
    {"setsid", "", 0},
    {"stdbuf", "-i -o -e --input --output --error", 0},
    {"time", "-f -o --format --output", 0},
    {"timeout", "-s -k --signal --kill-after", 1},
    {"command", "", 0},
    {"exec", "-a", 0},
    {"corepack", "", 0},
    {"npx", "-p --package --node-arg -n", 0},
    {"bunx", "-p --package", 0},
    {"pnpx", "--package", 0},
    {"npm exec", "-p --package -w --workspace", 0},
    {"npm x", "-p --package -w --workspace", 0},
    {"pnpm exec", "", 0},
    {"pnpm dlx", "--package", 0},
    {"yarn dlx", "-p --package", 0},
    {"bun x", "", 0},
    {"poetry run", "", 0},
    {"bundle exec", "", 0},
};
constexpr std::string_view kShells = "sh bash dash zsh ksh ash";

bool IsOneOf(std::string_view list, std::string_view word) {
  return std::ranges::count(SplitList(list), word) != 0;
}

std::string BaseName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

bool IsAssignment(const std::string& word) {
  const size_t equals = word.find('=');
  return equals != std::string::npos && IsVariableName(std::string_view(word).substr(0, equals));
}

// "npm@10" is npm.
std::string WithoutVersion(std::string word) {
  const size_t at = word.rfind('@');
  if (at != std::string::npos && at > 0) word.resize(at);
  return word;
}

std::optional<Argv> WithoutStarter(const Argv& argv, const Starter& starter) {
  const Argv words = SplitList(starter.words);
  if (argv.size() <= words.size() || !std::equal(words.begin(), words.end(), argv.begin())) {
    return std::nullopt;
  }
  size_t at = words.size();
  for (; at < argv.size(); ++at) {
    const std::string& word = argv[at];
    if (word == "--") {
      ++at;
      break;
    }
    // Another command's text: not understood.
    if (starter.words == "env" && (word.starts_with("-S") || word.starts_with("--split"))) {
      return std::nullopt;
    }
    if (starter.words == "env" && IsAssignment(word)) continue;
    if (!word.starts_with('-')) break;
    if (IsOneOf(starter.value_options, word)) ++at;
  }
  while (starter.words == "env" && at < argv.size() && IsAssignment(argv[at])) ++at;
  at += static_cast<size_t>(starter.positionals);
  if (at >= argv.size()) return std::nullopt;
  return Argv(argv.begin() + static_cast<std::ptrdiff_t>(at), argv.end());
}

// The command of `sh -c 'simple command'`.
std::optional<Argv> InsideShell(const Argv& argv) {
  if (argv.size() < 3 || !IsOneOf(kShells, argv[0])) return std::nullopt;
  size_t at = 1;
  while (at < argv.size() && argv[at].starts_with('-') && !argv[at].starts_with("--") &&
         argv[at].find('c') == std::string::npos) {
    ++at;
  }
  if (at + 1 >= argv.size() || !argv[at].starts_with('-') || argv[at].starts_with("--")) {
    return std::nullopt;
  }
  std::optional<Argv> words = SplitCommand(argv[at + 1]);
  if (!words) return std::nullopt;
  const auto command = std::ranges::find_if_not(*words, IsAssignment);
  words->erase(words->begin(), command);
  if (words->empty()) return std::nullopt;
  return words;
}

// `python -m pip` is pip.
std::optional<Argv> PythonModule(const Argv& argv) {
  if (argv.size() < 3 || !argv[0].starts_with("python") || argv[1] != "-m") return std::nullopt;
  return Argv(argv.begin() + 2, argv.end());
}

std::optional<Argv> Unwrap(const Argv& argv) {
  if (auto inner = InsideShell(argv)) return inner;
  if (auto inner = PythonModule(argv)) return inner;
  for (const Starter& starter : kStarters) {
    auto inner = WithoutStarter(argv, starter);
    if (!inner) continue;
    inner->front() = WithoutVersion(inner->front());
    return inner;
  }
  return std::nullopt;
}

// Without options before the subcommand, and with the subcommand's full name.
Argv Canonical(const Manager& manager, const Argv& argv) {
  Argv words = {SplitList(manager.programs).front()};
  size_t at = 1;
  for (; at < argv.size() && argv[at].starts_with('-'); ++at) {
    if (argv[at] == "--") break;
    if (argv[at] == "--version" || argv[at] == "--help" || argv[at] == "-v" || argv[at] == "-h") {
      return argv;
    }
    if (IsOneOf(manager.value_options, argv[at])) ++at;
  }
  const std::string subcommand = at < argv.size() ? argv[at] : "";
  std::string full = subcommand;
  for (const std::string& alias : SplitList(manager.aliases)) {
    const size_t equals = alias.find('=');
    if (alias.substr(0, equals) == subcommand) full = alias.substr(equals + 1);
  }
  if (!full.empty()) words.push_back(full);
  if (at < argv.size())
    words.insert(words.end(), argv.begin() + static_cast<std::ptrdiff_t>(at) + 1, argv.end());
  return words;
}

void AddReading(std::vector<Argv>& readings, Argv argv) {
  if (std::ranges::count(readings, argv) == 0) readings.push_back(std::move(argv));
}

}  // namespace

std::vector<Argv> ReadCommand(const Argv& argv) {
  constexpr int kMaxStarters = 8;
  std::vector<Argv> readings;
  Argv current = argv;
  for (int i = 0; i < kMaxStarters; ++i) {
    AddReading(readings, current);
    current.front() = BaseName(current.front());
    AddReading(readings, current);
    std::optional<Argv> inner = Unwrap(current);
    if (!inner) break;
    current = std::move(*inner);
  }
  if (const Manager* manager = ManagerOfProgram(readings.back().front()); manager != nullptr) {
    AddReading(readings, Canonical(*manager, readings.back()));
  }
  return readings;
}

const Argv* MatchReadings(const std::string& pattern, const std::vector<Argv>& readings) {
  const std::optional<Argv> words = SplitPattern(pattern);
  if (!words) return nullptr;
  for (const Argv& reading : readings) {
    if (MatchesCommand(*words, reading)) return &reading;
  }
  return nullptr;
}

ManagerTask TaskOf(const Manager& manager, const std::vector<Argv>& readings,
                   std::string* pattern) {
  const std::string program = SplitList(manager.programs).front();
  if (readings.back().front() != program) return ManagerTask::kNone;
  for (const auto& [patterns, task] : {std::pair(manager.install_patterns, ManagerTask::kInstall),
                                       std::pair(manager.build_patterns, ManagerTask::kBuild)}) {
    for (const std::string& words : SplitList(patterns, '|')) {
      *pattern = program;
      *pattern += ' ';
      *pattern += words;
      if (MatchReadings(*pattern, {readings.back()}) != nullptr) return task;
    }
  }
  pattern->clear();
  return ManagerTask::kNone;
}

bool AddsPackage(const Manager& manager, const std::vector<Argv>& readings) {
  const Argv& words = readings.back();
  if (words.size() < 3 || words.front() != SplitList(manager.programs).front()) return false;
  const std::vector<std::string> adds = SplitList(manager.adds);
  return std::ranges::find(adds, words[1]) != adds.end() &&
         std::any_of(words.begin() + 2, words.end(),
                     [](const std::string& word) { return !word.starts_with('-'); });
}

std::string JoinCommand(const Argv& argv) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+*";
  std::string text;
  for (const std::string& word : argv) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) {
      if (c == '\'') text += "'\\'";
      text += c;
    }
    text += '\'';
  }
  return text;
}

}  // namespace cordon::policy
