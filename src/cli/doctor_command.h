#ifndef CORDON_CLI_DOCTOR_COMMAND_H_
#define CORDON_CLI_DOCTOR_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon doctor`: which walls work on this machine, and what is missing for the others.
void AddDoctorCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_DOCTOR_COMMAND_H_
