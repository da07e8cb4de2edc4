#include "wasm/compile_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "wasm/spectest/wat.h"

namespace cordon::wasm {
namespace {

namespace fs = std::filesystem;

class CompileCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cordon-cache-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    parent_ = name;
    module_ = AssembleText("(module (func (export \"f\") (result i32) i32.const 42))");
  }
  void TearDown() override { fs::remove_all(parent_); }

  [[nodiscard]] Result<CompileCache> Open() const {
    return CompileCache::Open(parent_, CORDON_COMPILE_PROGRAM);
  }
  [[nodiscard]] std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(parent_ + "/cordon/objects")) {
      files.push_back(entry.path());
    }
    return files;
  }

  std::string parent_;
  std::vector<std::byte> module_;
};

TEST_F(CompileCacheTest, FastFirstThenOptimised) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value()) << cache.error().ToString();
  Result<CachedObject> first = cache->Get(module_, {});
  ASSERT_TRUE(first.has_value()) << first.error().ToString();
  EXPECT_EQ(first->tier, Tier::kFast);
  EXPECT_EQ(Files().size(), 1U);
  cache->Optimise(module_, {}).join();
  Result<CachedObject> second = cache->Get(module_, {});
  ASSERT_TRUE(second.has_value()) << second.error().ToString();
  EXPECT_EQ(second->tier, Tier::kOptimised);
  EXPECT_EQ(Files().size(), 2U);
}

TEST_F(CompileCacheTest, SecondGetDoesNotCompile) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value());
  ASSERT_TRUE(cache->Get(module_, {}).has_value());
  Result<CompileCache> without_compiler = CompileCache::Open(parent_, "/nonexistent");
  ASSERT_TRUE(without_compiler.has_value());
  EXPECT_TRUE(without_compiler->Get(module_, {}).has_value());
  const auto other = AssembleText("(module)");
  EXPECT_FALSE(without_compiler->Get(other, {}).has_value());
}

TEST_F(CompileCacheTest, DamagedObjectsAreReplaced) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value());
  ASSERT_TRUE(cache->Get(module_, {}).has_value());
  const fs::path file = Files().at(0);
  for (const uintmax_t size : {uintmax_t{0}, uintmax_t{100}, fs::file_size(file) - 1}) {
    fs::resize_file(file, size);
    EXPECT_TRUE(cache->Get(module_, {}).has_value());
    EXPECT_GT(fs::file_size(file), size);
  }
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(static_cast<std::streamoff>(fs::file_size(file) - 10));
  stream.put('x');
  stream.close();
  Result<CompileCache> without_compiler = CompileCache::Open(parent_, "/nonexistent");
  EXPECT_FALSE(without_compiler->Get(module_, {}).has_value());
}

TEST_F(CompileCacheTest, ObjectOfAnotherModuleUnderThisNameIsNotUsed) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value());
  ASSERT_TRUE(cache->Get(module_, {}).has_value());
  const fs::path mine = Files().at(0);
  const auto other = AssembleText("(module (func (export \"f\") (result i32) i32.const 43))");
  Sha256 hash;
  hash.Update(other);
  const std::string name = CompileCache::NameOf(hash.Finish(), Tier::kFast, CpuLevel::kX8664V2);
  fs::copy_file(mine, mine.parent_path() / name);
  Result<CompileCache> without_compiler = CompileCache::Open(parent_, "/nonexistent");
  EXPECT_FALSE(without_compiler->GetTier(other, Tier::kFast, {}).has_value());
}

TEST_F(CompileCacheTest, WritersAtTheSameTimeAgree) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value());
  std::vector<std::thread> writers;
  writers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] { EXPECT_TRUE(cache->Get(module_, {}).has_value()); });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Files().size(), 1U);  // no temporary file is left
}

TEST_F(CompileCacheTest, FoldersOfOthersAndLinksAreRefused) {
  fs::create_directory(parent_ + "/cordon");
  chmod((parent_ + "/cordon").c_str(), 0775);
  EXPECT_FALSE(Open().has_value());
  chmod((parent_ + "/cordon").c_str(), 0700);
  fs::create_directory(parent_ + "/elsewhere");
  fs::create_directory_symlink(parent_ + "/elsewhere", parent_ + "/cordon/objects");
  EXPECT_FALSE(Open().has_value());
  fs::remove(parent_ + "/cordon/objects");
  EXPECT_TRUE(Open().has_value());
}

TEST_F(CompileCacheTest, RefusalsComeBackWithReasonAndOffset) {
  Result<CompileCache> cache = Open();
  ASSERT_TRUE(cache.has_value());
  std::vector<std::byte> cut(module_.begin(), module_.end() - 3);
  const Result<CachedObject> object = cache->Get(cut, {});
  ASSERT_FALSE(object.has_value());
  EXPECT_NE(object.error().ToString().find("0x"), std::string::npos) << object.error().ToString();
  EXPECT_TRUE(Files().empty());
}

TEST_F(CompileCacheTest, TimeLimitEndsTheCompiler) {
  const std::string script = parent_ + "/slow";
  std::ofstream(script) << "#!/bin/sh\nexec sleep 60\n";
  fs::permissions(script, fs::perms::owner_all);
  Result<CompileCache> cache = CompileCache::Open(parent_, script);
  ASSERT_TRUE(cache.has_value());
  CompileRequest request;
  request.time_limit = std::chrono::seconds(1);
  const Result<CachedObject> object = cache->Get(module_, request);
  ASSERT_FALSE(object.has_value());
  EXPECT_EQ(object.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace cordon::wasm
