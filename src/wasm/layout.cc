#include "wasm/layout.h"

#include <cstring>

namespace cordon::wasm {
namespace {

class Cursor {
 public:
  // Places `count` records of `size` bytes and returns where.
  uint32_t Place(uint64_t count, uint64_t size) {
    at_ = (at_ + 15) & ~uint64_t{15};
    const uint64_t where = at_;
    if (count > kMaxStorageBytes / size || at_ + count * size > kMaxStorageBytes) {
      overflowed_ = true;
      return 0;
    }
    at_ += count * size;
    return static_cast<uint32_t>(where);
  }
  [[nodiscard]] bool overflowed() const { return overflowed_; }
  [[nodiscard]] uint64_t size() const { return (at_ + 15) & ~uint64_t{15}; }

 private:
  uint64_t at_ = sizeof(Context);
  bool overflowed_ = false;
};

}  // namespace

bool ComputeStorageLayout(const InstanceShape& shape, StorageLayout* layout) {
  Cursor cursor;
  *layout = {};
  layout->globals = cursor.Place(shape.own_globals, sizeof(GlobalCell));
  layout->type_ids = cursor.Place(shape.types, sizeof(uint32_t));
  layout->imported_globals = cursor.Place(shape.imported_globals, sizeof(void*));
  layout->tables = cursor.Place(shape.tables, sizeof(void*));
  layout->tags = cursor.Place(shape.tags, sizeof(void*));
  layout->results = cursor.Place(shape.result_slots, sizeof(uint64_t));
  layout->imports = cursor.Place(shape.imported_functions, sizeof(HostImport));
  layout->own_tables = cursor.Place(shape.own_tables, sizeof(Table));
  layout->own_tags = cursor.Place(shape.own_tags, sizeof(Tag));
  layout->dropped_data = cursor.Place(shape.data_segments, 1);
  layout->dropped_elements = cursor.Place(shape.element_segments, 1);
  layout->funcrefs = cursor.Place(shape.funcrefs, sizeof(FuncRef));
  layout->elements = cursor.Place(shape.table_elements, sizeof(uint64_t));
  layout->size_bytes = cursor.size();
  return !cursor.overflowed();
}

bool operator==(const StorageLayout& left, const StorageLayout& right) {
  static_assert(std::has_unique_object_representations_v<StorageLayout>);
  return std::memcmp(&left, &right, sizeof left) == 0;
}

}  // namespace cordon::wasm
