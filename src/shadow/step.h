#ifndef CORDON_SHADOW_STEP_H_
#define CORDON_SHADOW_STEP_H_

// Taking a step of a journal, and taking it back. Each is one rename or one change of a mode,
// beneath the workspace's descriptor.

#include <cstddef>
#include <optional>
#include <string>

#include "base/error.h"
#include "shadow/journal.h"
#include "shadow/tree.h"

namespace cordon::shadow {

[[nodiscard]] std::string SlotName(size_t index);

// Fails, with the step taken back, if the old node is not `expected` any more; and if a directory
// that goes has something in it.
[[nodiscard]] Status TakeStep(const Tree& workspace, int staging, size_t index, const Step& step,
                              const std::optional<Stat>& expected);

// Whether it was taken or not. What somebody else put into its place meanwhile stays.
[[nodiscard]] Status UndoStep(const Tree& workspace, int staging, size_t index, const Step& step);

// The slot is emptied: after all steps were taken it has the old node; after they were taken back,
// the new one, which is kept if somebody has written it meanwhile (false).
enum class SlotHas { kOldNode, kNewNode };
[[nodiscard]] Result<bool> ClearSlot(int staging, size_t index, const Step& step, SlotHas has);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_STEP_H_
