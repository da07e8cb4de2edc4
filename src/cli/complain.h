#ifndef CORDON_CLI_COMPLAIN_H_
#define CORDON_CLI_COMPLAIN_H_

// What the command line itself has to say, above all what goes wrong: `cordon: place: reason`, a
// line on standard error.
// Names and texts of others are in it, so nothing of it draws on a terminal.

#include <string_view>

#include "base/error.h"

namespace cordon::cli {

void Complain(std::string_view text);
void Complain(const Error& error);
// And the exit status of a failure that is Cordon's own.
[[nodiscard]] int Refuse(const Error& error);

}  // namespace cordon::cli

#endif  // CORDON_CLI_COMPLAIN_H_
