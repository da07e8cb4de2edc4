#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "backend/wasm/modules.h"
#include "base/owned_fd.h"
#include "kernel/code_window.h"
#include "wasm/spectest/wat.h"

namespace cordon::backend {
namespace {

constexpr size_t kWindowBytes = size_t{4} << 20;

// Programs that differ in a number.
Module Compile(int number) {
  Result<Module> module = CompileModule(
      wasm::AssembleText("(module (memory (export \"memory\") 1) (func (export \"_start\") (drop "
                         "(i32.const " +
                         std::to_string(number) + "))))"),
      "test", CORDON_COMPILE_PROGRAM, {});
  EXPECT_TRUE(module.has_value()) << module.error().ToString();
  return module ? std::move(*module) : Module();
}

class ModuleWindowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cordon-window-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    ASSERT_EQ(setenv("XDG_CACHE_HOME", name, 1), 0);
    file_ = OwnedFd(memfd_create("window", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(file_.get(), kWindowBytes), 0);
    void* at = mmap(nullptr, kWindowBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    ASSERT_NE(at, MAP_FAILED);
    window_ = {static_cast<std::byte*>(at), kWindowBytes};
  }
  void TearDown() override {
    if (!window_.empty()) munmap(window_.data(), window_.size());
    std::filesystem::remove_all(folder_);
  }

  void Add(const Module& module, Permission permission) {
    const Status added = AddToCodeWindow(window_, file_.get(), module, permission);
    ASSERT_TRUE(added) << added.error().ToString();
  }
  // Of each entry, in order: A or -.
  [[nodiscard]] std::string Allowed() const {
    const auto& header = *reinterpret_cast<const CodeWindowHeader*>(window_.data());
    std::string text;
    for (uint32_t i = 0; i < CountOf(header); ++i)
      text += header.entries[i].is_allowed != 0 ? 'A' : '-';
    return text;
  }

  std::string folder_;
  OwnedFd file_;
  std::span<std::byte> window_;
};

TEST_F(ModuleWindowTest, WhatIsAllowedIsAllowedWithEveryObjectOfItsHash) {
  Module fast = Compile(1);
  fast.is_optimised = false;
  Module good = fast;
  good.is_optimised = true;
  Add(fast, Permission::kAsBefore);
  Add(Compile(2), Permission::kAsBefore);
  EXPECT_EQ(Allowed(), "--");
  Add(good, Permission::kAllowed);
  EXPECT_EQ(Allowed(), "A-A");
}

TEST_F(ModuleWindowTest, BetterCodeIsAllowedAsWhatWasThere) {
  Module fast = Compile(1);
  fast.is_optimised = false;
  Module good = fast;
  good.is_optimised = true;
  Module other = Compile(2);
  other.is_optimised = false;
  Module good_other = other;
  good_other.is_optimised = true;
  Add(fast, Permission::kAllowed);
  Add(other, Permission::kAsBefore);
  Add(good, Permission::kAsBefore);
  Add(good_other, Permission::kAsBefore);
  EXPECT_EQ(Allowed(), "A-A-");
}

TEST_F(ModuleWindowTest, OneThatIsThereAlreadyIsAllowedAndNeverForbidden) {
  const Module module = Compile(1);
  Add(module, Permission::kAsBefore);
  Add(module, Permission::kAllowed);
  EXPECT_EQ(Allowed(), "A");
  Add(module, Permission::kAsBefore);
  EXPECT_EQ(Allowed(), "A");
}

}  // namespace
}  // namespace cordon::backend
