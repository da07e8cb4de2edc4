#include "cli/init_wizard.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "policy/document.h"
#include "policy/managers.h"

namespace cordon::cli {
namespace {

using policy::ProjectChoices;

std::string Trimmed(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = line.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return std::string(line.substr(begin, line.find_last_not_of(kSpace) - begin + 1));
}

// Several are apart by spaces, with or without commas.
std::vector<std::string> WordsOf(std::string text) {
  std::ranges::replace(text, ',', ' ');
  std::vector<std::string> words;
  for (const std::string& word : policy::SplitList(text, ' ')) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

// Where an answer goes: one of the two.
struct Question {
  const char* text;
  std::string ProjectChoices::* word;
  std::vector<std::string> ProjectChoices::* list;
};

constexpr Question kSimple[] = {
    {"Image of a container, NAME@sha256:…; without one the host's programs run",
     &ProjectChoices::image, nullptr},
    {"Hosts for commands that are no install (host, *.domain, host:port); none is no network",
     nullptr, &ProjectChoices::hosts},
};
constexpr Question kAdvanced[] = {
    {"Paths of the project that may be written, besides those of installs and builds", nullptr,
     &ProjectChoices::writable_paths},
    {"Files that no command sees, as patterns (*.pem), besides .env and what is like it", nullptr,
     &ProjectChoices::exclude_paths},
    {"Variables of yours that commands get", nullptr, &ProjectChoices::variables},
    {"Most memory of a command and its descendants (2GiB)", &ProjectChoices::memory, nullptr},
    {"Time until a command is ended (10m)", &ProjectChoices::wall_time, nullptr},
};

class Wizard {
 public:
  Wizard(ProjectChoices choices, FILE* in, FILE* out)
      : choices_(std::move(choices)), in_(in), out_(out) {}
  ~Wizard() { free(line_); }
  Wizard(const Wizard&) = delete;
  Wizard& operator=(const Wizard&) = delete;

  Status Run() {
    CORDON_TRY(AskPreset());
    for (const Question& question : kSimple) CORDON_TRY(Ask(question));
    const Result<std::string> more = Answer("More questions: files, variables, limits", "no");
    if (!more) return std::unexpected(more.error());
    if (!more->starts_with('y') && !more->starts_with('Y')) return {};
    for (const Question& question : kAdvanced) CORDON_TRY(Ask(question));
    return {};
  }
  ProjectChoices Take() { return std::move(choices_); }

 private:
  // The next line, or `fallback` where that is empty.
  Result<std::string> Answer(const std::string& question, const std::string& fallback) {
    (void)fprintf(out_, "%s [%s]: ", question.c_str(),
                  fallback.empty() ? "none" : fallback.c_str());
    (void)fflush(out_);
    if (getline(&line_, &line_size_, in_) < 0) {
      (void)fputs("\n", out_);
      return Fail(ErrorCode::kInvalid, "the answers ended; nothing was written");
    }
    std::string answer = Trimmed(line_);
    return answer.empty() ? fallback : answer;
  }

  Status AskPreset() {
    const std::vector<std::string> names = policy::PresetNames();
    const std::string list = policy::ListText(names);
    for (;;) {
      Result<std::string> answer =
          Answer("Package manager or language (" + list + ")", choices_.preset);
      if (!answer) return std::unexpected(answer.error());
      if (std::ranges::find(names, *answer) != names.end()) {
        choices_.preset = std::move(*answer);
        return {};
      }
      (void)fprintf(out_, "  there is no %s\n", answer->c_str());
    }
  }

  Status Ask(const Question& question) {
    for (;;) {
      const Result<std::string> answer = Answer(question.text, "");
      if (!answer) return std::unexpected(answer.error());
      if (question.word != nullptr) choices_.*question.word = *answer;
      if (question.list != nullptr) choices_.*question.list = WordsOf(*answer);
      if (IsAccepted()) return {};
    }
  }

  // What is wrong with an answer is what would be wrong with the file.
  bool IsAccepted() {
    std::vector<Error> errors;
    (void)policy::ReadDocument(policy::ProjectStarterText(choices_), "", policy::FileKind::kCordon,
                               &errors);
    for (const Error& error : errors) (void)fprintf(out_, "  %s\n", error.message.c_str());
    return errors.empty();
  }

  ProjectChoices choices_;
  FILE* in_;
  FILE* out_;
  char* line_ = nullptr;
  size_t line_size_ = 0;
};

}  // namespace

Result<ProjectChoices> AskForChoices(ProjectChoices choices, FILE* in, FILE* out) {
  Wizard wizard(std::move(choices), in, out);
  if (const Status asked = wizard.Run(); !asked) return std::unexpected(asked.error());
  return wizard.Take();
}

}  // namespace cordon::cli
