#ifndef CORDON_CLI_DOCTOR_PROJECT_H_
#define CORDON_CLI_DOCTOR_PROJECT_H_

// What `cordon doctor` says of the directory that it is called in: its policy, and what of it a
// command would see.

#include <string>
#include <vector>

namespace cordon::cli {

struct ProjectFinding {
  std::string name;
  bool is_fine = false;
  std::string detail;
};

// Of the plan for any command here, behind the native wall; runs nothing.
[[nodiscard]] std::vector<ProjectFinding> ExamineProject();

}  // namespace cordon::cli

#endif  // CORDON_CLI_DOCTOR_PROJECT_H_
