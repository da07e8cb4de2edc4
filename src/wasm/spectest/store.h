#ifndef CORDON_WASM_SPECTEST_STORE_H_
#define CORDON_WASM_SPECTEST_STORE_H_

// Instances of one script of the test suite, the host module `spectest`, and calls with traps.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "wasm/compiler/compile.h"
#include "wasm/instance.h"

namespace cordon::wasm {

// A native stack with a guard below it.
class NativeStackMapping {
 public:
  NativeStackMapping();
  ~NativeStackMapping();
  NativeStackMapping(const NativeStackMapping&) = delete;
  NativeStackMapping& operator=(const NativeStackMapping&) = delete;
  [[nodiscard]] StackRange range() const;

 private:
  std::byte* base_ = nullptr;
};

class LoadedInstance {
 public:
  LoadedInstance() = default;
  ~LoadedInstance();
  LoadedInstance(const LoadedInstance&) = delete;
  LoadedInstance& operator=(const LoadedInstance&) = delete;

  [[nodiscard]] Status Load(std::vector<std::byte> object);

  std::vector<std::byte> object;
  ObjectView view;
  std::byte* image = nullptr;
  std::span<std::byte> storage;
  Memory memory;

  [[nodiscard]] Context* context() const { return reinterpret_cast<Context*>(storage.data()); }
};

enum class LoadOutcome { kDone, kRefused, kUnlinkable, kTrapped };

class Store {
 public:
  explicit Store(Tier tier);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Compiles, instantiates, runs the start function. The instance stays even if it trapped, since
  // its functions may be in tables of others.
  LoadOutcome Add(std::span<const std::byte> module, LoadedInstance** instance,
                  std::string* message);
  void Register(const std::string& name, LoadedInstance* instance) { named_[name] = instance; }
  TrapCode Call(LoadedInstance* instance, const FuncRef& function, uint64_t* slots);
  // The report of the last fault of this thread that was a trap.
  [[nodiscard]] static const TrapReport& LastTrap();
  // Changes requests before they are carried out; for tests with host functions of their own.
  void set_customise(std::function<void(InstanceRequest*)> customise) {
    customise_ = std::move(customise);
  }

 private:
  static ImportOutcome Resolve(void* cookie, const ImportRequest& request, ImportValue* value);
  ImportOutcome ResolveFrom(const LoadedInstance& instance, const ImportRequest& request,
                            ImportValue* value) const;
  ImportOutcome ResolveHost(const ImportRequest& request, ImportValue* value);

  Tier tier_;
  Status ready_;  // of the host module's memories
  std::function<void(InstanceRequest*)> customise_;
  std::unique_ptr<TypeRegistry> registry_ = std::make_unique<TypeRegistry>();
  std::vector<std::unique_ptr<LoadedInstance>> instances_;
  std::map<std::string, LoadedInstance*> named_;
  NativeStackMapping stack_;
  Memory host_memory_;
  Memory host_shared_memory_;
  Table host_table_;
  std::vector<uint64_t> host_elements_;
  GlobalCell host_globals_[4];
};

// Installs the fault handler for this process. Once.
void InstallFaultHandler();

}  // namespace cordon::wasm

#endif  // CORDON_WASM_SPECTEST_STORE_H_
