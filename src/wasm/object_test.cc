#include "wasm/object.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "wasm/compiler/compile.h"
#include "wasm/instance.h"
#include "wasm/layout.h"
#include "wasm/spectest/wat.h"

namespace cordon::wasm {
namespace {

constexpr const char* kModule = R"((module
  (import "env" "f" (func $f (param i32 i64) (result i32)))
  (import "env" "g" (global $g i32))
  (memory (export "memory") 1 2)
  (table (export "table") 4 8 funcref)
  (global $h (mut i64) (i64.const 5))
  (tag $t (param i32))
  (elem (i32.const 1) $f $run)
  (data (i32.const 8) "some bytes")
  (func $run (export "run") (param i32) (result i32)
    (call $f (local.get 0) (global.get $h)))))";

std::vector<std::byte> Object() {
  auto object = Compile(AssembleText(kModule), {});
  EXPECT_TRUE(object.has_value());
  return object.value_or(std::vector<std::byte>());
}

// Everything that a user of a view would follow.
uint64_t Touch(const ObjectView& view) {
  uint64_t sum = 0;
  for (const ImportRecord& import : view.imports) {
    sum += view.String(import.module).size() + view.String(import.name).size();
  }
  for (uint32_t i = 0; i < view.types.size(); ++i) {
    for (const ValType type : view.Params(i)) sum += static_cast<uint64_t>(type);
    for (const ValType type : view.Results(i)) sum += static_cast<uint64_t>(type);
  }
  for (const FunctionRecord& function : view.functions) {
    for (const char c : view.String(function.name)) sum += static_cast<uint64_t>(c);
  }
  for (const DataRecord& data : view.data) {
    for (const std::byte b : view.bytes.subspan(data.first_byte, data.size)) {
      sum += static_cast<uint64_t>(b);
    }
  }
  sum += view.FunctionAt(100);
  return sum;
}

// Instantiates with everything found and no memory of its own mapped: what cannot be refused must
// stay inside the storage.
void InstantiateInStorage(const ObjectView& view) {
  if (StorageBytes(view) > (1 << 20)) return;
  const std::unique_ptr<std::byte[]> storage(new std::byte[StorageBytes(view)]());
  auto registry = std::make_unique<TypeRegistry>();
  static GlobalCell cell;
  static Tag tag;
  static uint64_t elements[8];
  static Table table = {elements, 8, 8, ValType::kFuncref, 8};
  static std::byte bytes[kPageSize];
  Memory memory = {bytes, sizeof bytes, sizeof bytes, 0, 1};
  InstanceRequest request;
  request.view = &view;
  request.image = bytes;
  request.storage = {storage.get(), StorageBytes(view)};
  request.memory = &memory;
  request.registry = registry.get();
  request.resolver.resolve = [](void*, const ImportRequest&, ImportValue* value) {
    *value = {{&cell, nullptr}, &table, nullptr, &cell, &tag};
    return ImportOutcome::kFound;
  };
  InstantiateError error;
  static_cast<void>(Instantiate(request, &error));
}

TEST(ObjectTest, CompilerAndLoaderAgree) {
  const std::vector<std::byte> object = Object();
  ASSERT_TRUE(VerifyObjectHash(object).has_value());
  const Result<ObjectView> view = ParseObject(object);
  ASSERT_TRUE(view.has_value()) << view.error().ToString();
  EXPECT_EQ(view->imports.size(), 2U);
  EXPECT_EQ(view->FindExport("run")->kind, ExternKind::kFunction);
  EXPECT_EQ(view->FindExport("absent"), nullptr);
  EXPECT_EQ(view->memories[0].max_pages, 2U);
  InstantiateInStorage(*view);
}

TEST(ObjectTest, TruncatedObjectsAreRefused) {
  const std::vector<std::byte> object = Object();
  for (size_t size = 0; size < object.size(); size += 13) {
    const std::vector<std::byte> part(object.begin(), object.begin() + static_cast<long>(size));
    EXPECT_FALSE(VerifyObjectHash(part).has_value());
    ObjectView view;
    ErrorText error;
    if (ParseObject(part, &view, &error)) Touch(view);  // the image may be missing
  }
}

TEST(ObjectTest, FlippedBitsNeverLeadOutside) {
  const std::vector<std::byte> object = Object();
  ObjectHeader header;
  std::memcpy(&header, object.data(), sizeof header);
  size_t accepted = 0;
  for (size_t at = 0; at < header.metadata_size; ++at) {
    for (const int bit : {0, 3, 7}) {
      std::vector<std::byte> damaged(object.begin(), object.end());
      damaged[at] ^= static_cast<std::byte>(1 << bit);
      EXPECT_FALSE(VerifyObjectHash(damaged).has_value());
      ObjectView view;
      ErrorText error;
      if (!ParseObject(damaged, &view, &error)) continue;
      ++accepted;
      Touch(view);
      InstantiateInStorage(view);
    }
  }
  EXPECT_GT(accepted, 0U);  // a changed name or constant is still an object
}

TEST(ObjectTest, LargeCountsAreRefused) {
  const std::vector<std::byte> object = Object();
  for (size_t section = 0; section < kSectionCount; ++section) {
    for (const uint64_t value : {uint64_t{1} << 31, uint64_t{1} << 61, UINT64_MAX}) {
      std::vector<std::byte> damaged = object;
      auto* header = reinterpret_cast<ObjectHeader*>(damaged.data());
      header->sections[section].count = value;
      EXPECT_FALSE(ParseObject(damaged).has_value());
      header->sections[section] = {value, 0};
      EXPECT_FALSE(ParseObject(damaged).has_value());
    }
  }
}

TEST(TypeRegistryTest, EqualStructureEqualNumber) {
  auto registry = std::make_unique<TypeRegistry>();
  const std::vector<ValType> one = {ValType::kI32};
  const std::vector<ValType> two = {ValType::kI32, ValType::kI64};
  const uint32_t a = registry->Intern(one, two);
  const uint32_t b = registry->Intern(two, one);
  EXPECT_NE(a, b);
  EXPECT_EQ(registry->Intern(one, two), a);
  EXPECT_EQ(registry->Results(a).size(), 2U);
  registry->Clear();
  EXPECT_EQ(registry->Intern(two, one), 0U);
}

TEST(TypeRegistryTest, FullIsSaid) {
  auto registry = std::make_unique<TypeRegistry>();
  uint32_t id = 0;
  for (uint32_t i = 0; i <= TypeRegistry::kMaxTypes; ++i) {
    std::vector<ValType> params(13, ValType::kI32);
    for (uint32_t bit = 0; bit < 13; ++bit) {
      if ((i >> bit & 1) != 0) params[bit] = ValType::kI64;
    }
    id = registry->Intern(params, {});
  }
  EXPECT_EQ(id, TypeRegistry::kFull);
}

TEST(LayoutTest, TooLargeIsRefused) {
  StorageLayout layout;
  InstanceShape shape;
  EXPECT_TRUE(ComputeStorageLayout(shape, &layout));
  shape.table_elements = UINT64_MAX / 8;
  EXPECT_FALSE(ComputeStorageLayout(shape, &layout));
  shape = {};
  shape.own_globals = kMaxStorageBytes / sizeof(GlobalCell) + 1;
  EXPECT_FALSE(ComputeStorageLayout(shape, &layout));
}

}  // namespace
}  // namespace cordon::wasm
