#ifndef CORDON_WASM_LAYOUT_H_
#define CORDON_WASM_LAYOUT_H_

// Where the parts of an instance lie. Compiler and loader both compute it from these counts, so a
// file cannot claim a layout that its own tables do not fit.

#include "wasm/object.h"

namespace cordon::wasm {

struct InstanceShape {
  uint64_t types = 0;
  uint64_t own_globals = 0;
  uint64_t imported_globals = 0;
  uint64_t tables = 0;
  uint64_t own_tables = 0;
  uint64_t tags = 0;
  uint64_t own_tags = 0;
  uint64_t result_slots = 0;
  uint64_t imported_functions = 0;
  uint64_t data_segments = 0;
  uint64_t element_segments = 0;
  uint64_t funcrefs = 0;
  uint64_t table_elements = 0;  // sum of the capacities of own tables
};

inline constexpr uint64_t kMaxStorageBytes = uint64_t{1} << 31;

[[nodiscard]] InstanceShape ShapeOf(const ObjectView& view);
// False if it would be larger than kMaxStorageBytes.
[[nodiscard]] bool ComputeStorageLayout(const InstanceShape& shape, StorageLayout* layout);
[[nodiscard]] bool operator==(const StorageLayout& left, const StorageLayout& right);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_LAYOUT_H_
