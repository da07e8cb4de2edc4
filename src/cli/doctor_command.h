#ifndef CORDON_CLI_DOCTOR_COMMAND_H_
#define CORDON_CLI_DOCTOR_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

// `cordon doctor`: which walls work on this machine, and what is missing for the others.
void AddDoctorCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_DOCTOR_COMMAND_H_
