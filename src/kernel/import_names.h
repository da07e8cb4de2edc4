#ifndef CORDON_KERNEL_IMPORT_NAMES_H_
#define CORDON_KERNEL_IMPORT_NAMES_H_

#include <string_view>

namespace cordon::kernel {

// Whether one of the import modules has a function of this name. Linked outside the wall too.
[[nodiscard]] bool IsKnownImport(std::string_view module, std::string_view name);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_IMPORT_NAMES_H_
