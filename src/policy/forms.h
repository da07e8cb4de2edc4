#ifndef CORDON_POLICY_FORMS_H_
#define CORDON_POLICY_FORMS_H_

// What a word of a policy must look like: the forms that schema.def names.

#include <string>
#include <string_view>
#include <vector>

namespace cordon::policy {

// Empty if `text` has the form; otherwise what was expected, for "expected …, got 'text'". A form
// with `|` is a choice of words, the empty form is any text.
[[nodiscard]] std::string ExpectedForm(std::string_view form, std::string_view text);

[[nodiscard]] bool IsVariableName(std::string_view text);

// The parts between slashes; none for "." and empty text. What has the form inner-path or glob
// gives components without `..`.
[[nodiscard]] std::vector<std::string> PathComponents(std::string_view path);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_FORMS_H_
