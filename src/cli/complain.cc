#include "cli/complain.h"

#include <cstdio>

#include "backend/end.h"
#include "base/plain_text.h"

namespace cordon::cli {

void Complain(std::string_view text) {
  (void)fprintf(stderr, "cordon: %s\n", PlainText(text).c_str());
}

void Complain(const Error& error) {
  Complain(error.ToString());
}

int Refuse(const Error& error) {
  Complain(error);
  return backend::kOwnFailure;
}

}  // namespace cordon::cli
