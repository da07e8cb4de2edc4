#include "cli/answer.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "backend/end.h"
#include "base/plain_text.h"
#include "cli/command_line.h"
#include "cli/complain.h"

namespace cordon::cli {
namespace {

struct Field {
  std::string_view command;
  const char* name;
};
constexpr Field kFields[] = {
#define ANSWER_FIELD(command, name, type, text) {command, #name},
#include "cli/answer_fields.def"
};

}  // namespace

void AddAnswerOptions(Command& command, AnswerOptions* options) {
  command.AddFlag("--json", options->json, "what was done as one line of JSON on standard output");
  command.AddFlag("--quiet", options->quiet, "say only what was asked for, and what went wrong");
  command.AddFlag("-v,--verbose", options->verbose, "say more about what is done, and why");
}

Answer::Answer(const char* command, const AnswerOptions& options)
    : options_(options), members_(std::make_unique<nlohmann::ordered_json>()) {
  (*members_)["exit_code"] = 0;
  (*members_)["errors"] = nlohmann::ordered_json::array();
  for (const Field& field : kFields) {
    if (field.command == command) (*members_)[field.name] = nullptr;
  }
}

Answer::~Answer() = default;

void Answer::Print(const std::string& text) const {
  if (!options_.json) (void)fwrite(text.data(), 1, text.size(), stdout);
}

void Answer::Say(const std::string& line) const {
  if (!options_.quiet) Print(PlainText(line) + "\n");
}

void Answer::Remark(const std::string& line) const {
  if (!options_.quiet && !options_.json) cli::Complain(line);
}

void Answer::Explain(const std::string& line) const {
  if (options_.verbose) Remark(line);
}

// What is no member of the table cannot be said: `at` throws, and a test sees it.
void Answer::Set(const char* name, nlohmann::ordered_json value) {
  members_->at(name) = std::move(value);
}

void Answer::Add(const char* name, nlohmann::ordered_json value) {
  members_->at(name).push_back(std::move(value));
}

void Answer::Complain(const Error& error) {
  cli::Complain(error);
  Add("errors", error.ToString());
}

int Answer::Refuse(const Error& error) {
  Complain(error);
  return backend::kOwnFailure;
}

// Names of others are in it: nothing that draws on a terminal is left as it is.
int Answer::Finish(int exit_code) {
  if (!options_.json) return exit_code;
  Set("exit_code", exit_code);
  const std::string line =
      members_->dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  (void)puts(line.c_str());
  return exit_code;
}

int GiveAnswer(const char* command, const AnswerOptions& options,
               const std::function<int(Answer&)>& work) {
  Answer answer(command, options);
  return answer.Finish(work(answer));
}

int GiveErrors(bool json, const std::function<int(Answer&)>& work) {
  Answer answer("", {.json = json});
  const int exit_code = work(answer);
  return exit_code == 0 ? exit_code : answer.Finish(exit_code);
}

}  // namespace cordon::cli
