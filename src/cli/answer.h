#ifndef CORDON_CLI_ANSWER_H_
#define CORDON_CLI_ANSWER_H_

// What a command that runs nothing has to say: lines for people, or with `--json` one object in one
// line on standard output. Its members are `exit_code`, `errors` and those of answer_fields.def.

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"

namespace cordon::cli {

class Command;

struct AnswerOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};
// --json, --quiet, -v.
void AddAnswerOptions(Command& command, AnswerOptions* options);

class Answer {
 public:
  // `command` is one of the table's.
  Answer(const char* command, const AnswerOptions& options);
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  [[nodiscard]] bool is_json() const { return options_.json; }
  [[nodiscard]] bool is_quiet() const { return options_.quiet; }

  // What was asked for, to standard output as it is: with --quiet, too.
  void Print(const std::string& text) const;
  // A line about what was done; names of others in it draw nothing.
  void Say(const std::string& line) const;
  // A remark on standard error, and one that only -v wants.
  void Remark(const std::string& line) const;
  void Explain(const std::string& line) const;
  // Members; the lines above print nothing with --json, these print nothing without it.
  void Set(const char* name, nlohmann::ordered_json value);
  void Add(const char* name, nlohmann::ordered_json value);
  // Standard error, in both forms, and a member of `errors`.
  void Complain(const Error& error);
  // And the exit status of a failure that is Cordon's own.
  [[nodiscard]] int Refuse(const Error& error);

  // Prints the object, once.
  [[nodiscard]] int Finish(int exit_code);

 private:
  AnswerOptions options_;
  std::unique_ptr<nlohmann::ordered_json> members_;
};

[[nodiscard]] int GiveAnswer(const char* command, const AnswerOptions& options,
                             const std::function<int(Answer&)>& work);
// Of a command that prints a document of its own with --json: the object only if it failed.
[[nodiscard]] int GiveErrors(bool json, const std::function<int(Answer&)>& work);

}  // namespace cordon::cli

#endif  // CORDON_CLI_ANSWER_H_
