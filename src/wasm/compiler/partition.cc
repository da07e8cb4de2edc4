#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <cstddef>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

std::string FunctionSymbol(uint32_t index) {
  return "f" + std::to_string(index);
}
std::string AdapterSymbol(uint32_t signature) {
  return "a" + std::to_string(signature);
}

Partition::Partition(const Module& wasm_module, Tier tier_wanted, CpuLevel cpu_level,
                     const std::string& name)
    : module(wasm_module),
      tier(tier_wanted),
      i8(llvm::Type::getInt8Ty(context)),
      i16(llvm::Type::getInt16Ty(context)),
      i32(llvm::Type::getInt32Ty(context)),
      i64(llvm::Type::getInt64Ty(context)),
      f32(llvm::Type::getFloatTy(context)),
      f64(llvm::Type::getDoubleTy(context)),
      v128(llvm::FixedVectorType::get(i64, 2)),
      ptr(llvm::PointerType::get(context, 0)),
      void_type(llvm::Type::getVoidTy(context)),
      cpu_level_(cpu_level),
      llvm_module_(std::make_unique<llvm::Module>(name, context)) {
  llvm::MDBuilder metadata(context);
  llvm::MDNode* root = metadata.createTBAARoot("cordon");
  llvm::MDNode* memory_type = metadata.createTBAAScalarTypeNode("memory", root);
  llvm::MDNode* context_type = metadata.createTBAAScalarTypeNode("context", root);
  memory_tag = metadata.createTBAAStructTagNode(memory_type, memory_type, 0);
  context_tag = metadata.createTBAAStructTagNode(context_type, context_type, 0);
  unlikely = metadata.createBranchWeights(1, 1 << 20);
}

llvm::Type* Partition::TypeOf(ValType type) const {
  switch (type) {
    case ValType::kI32:
      return i32;
    case ValType::kF32:
      return f32;
    case ValType::kF64:
      return f64;
    case ValType::kV128:
      return v128;
    case ValType::kI64:
    case ValType::kFuncref:
    case ValType::kExternref:
      break;
  }
  return i64;  // references are numbers until they are used
}

llvm::FunctionType* Partition::FunctionTypeOf(const Signature& signature) const {
  std::vector<llvm::Type*> params = {ptr};
  for (const ValType type : signature.params) params.push_back(TypeOf(type));
  llvm::Type* result = signature.results.size() == 1 ? TypeOf(signature.results[0]) : void_type;
  return llvm::FunctionType::get(result, params, false);
}

llvm::CallingConv::ID Partition::Convention() const {
  // Only tailcc promises a tail call between any two signatures; it costs stack adjustments.
  return module.has_tail_calls ? llvm::CallingConv::Tail : llvm::CallingConv::C;
}

void Partition::AddAttributes(llvm::Function* function) const {
  function->setDoesNotThrow();
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  function->addFnAttr("frame-pointer", "all");
  function->addFnAttr("no-builtins");
  // A frame larger than a page must touch every page, or it could step over the guard.
  function->addFnAttr("probe-stack", "inline-asm");
  function->addFnAttr("target-cpu", cpu_level_ == CpuLevel::kX8664V3 ? "x86-64-v3" : "x86-64-v2");
  function->addFnAttr(llvm::Attribute::NullPointerIsValid);
}

llvm::Function* Partition::FunctionAt(uint32_t index) {
  llvm::Function*& function = functions_[index];
  if (function == nullptr) {
    function = llvm::Function::Create(FunctionTypeOf(module.SignatureOf(index)),
                                      llvm::GlobalValue::ExternalLinkage, FunctionSymbol(index),
                                      llvm_module_.get());
    function->setCallingConv(Convention());
    function->addParamAttr(0, llvm::Attribute::SwiftSelf);
    AddAttributes(function);
  }
  return function;
}

void Partition::MarkCall(llvm::CallInst* call, bool has_context) const {
  call->setDoesNotThrow();
  if (has_context) {
    call->setCallingConv(Convention());
    call->addParamAttr(0, llvm::Attribute::SwiftSelf);
  }
}

void StoreSlots(Partition& partition, llvm::IRBuilder<>& builder, llvm::Value* slots,
                const std::vector<llvm::Value*>& values) {
  uint32_t slot = 0;
  for (llvm::Value* value : values) {
    llvm::Value* pointer = builder.CreateConstInBoundsGEP1_32(partition.i64, slots, slot);
    slot += value->getType()->isVectorTy() ? 2 : 1;
    if (value->getType()->isFloatTy()) value = builder.CreateBitCast(value, partition.i32);
    if (value->getType()->isIntegerTy(32)) value = builder.CreateZExt(value, partition.i64);
    builder.CreateAlignedStore(value, pointer, llvm::Align(8))
        ->setMetadata(llvm::LLVMContext::MD_tbaa, partition.context_tag);
  }
}

llvm::Value* LoadSlot(Partition& partition, llvm::IRBuilder<>& builder, llvm::Value* slots,
                      uint32_t slot, ValType type) {
  llvm::Value* pointer = builder.CreateConstInBoundsGEP1_32(partition.i64, slots, slot);
  auto* load = builder.CreateAlignedLoad(partition.TypeOf(type), pointer, llvm::Align(8));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, partition.context_tag);
  return load;
}

// void adapter(const void* code, Context*, uint64_t* slots)
void Partition::LowerAdapter(uint32_t index) {
  const Signature& signature = module.signatures[index];
  auto* type = llvm::FunctionType::get(void_type, {ptr, ptr, ptr}, false);
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                                          AdapterSymbol(index), llvm_module_.get());
  AddAttributes(function);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", function));
  llvm::Value* code = function->getArg(0);
  llvm::Value* wasm_context = function->getArg(1);
  llvm::Value* slots = function->getArg(2);
  std::vector<llvm::Value*> arguments = {wasm_context};
  uint32_t slot = 0;
  for (const ValType param : signature.params) {
    arguments.push_back(LoadSlot(*this, builder, slots, slot, param));
    slot += SlotCount(param);
  }
  auto* call = builder.CreateCall(FunctionTypeOf(signature), code, arguments);
  MarkCall(call, true);
  if (signature.results.size() == 1) {
    StoreSlots(*this, builder, slots, {call});
  } else {
    llvm::Value* area = builder.CreateConstInBoundsGEP1_64(i8, wasm_context, module.layout.results);
    uint32_t count = 0;
    for (const ValType result : signature.results) count += SlotCount(result);
    for (uint32_t i = 0; i < count; ++i) {
      auto* value = builder.CreateAlignedLoad(i64, builder.CreateConstInBoundsGEP1_32(i64, area, i),
                                              llvm::Align(8));
      builder.CreateAlignedStore(value, builder.CreateConstInBoundsGEP1_32(i64, slots, i),
                                 llvm::Align(8));
    }
  }
  builder.CreateRetVoid();
}

// The wrapper of an imported function: parameters into slots, host_call, results out of them.
void Partition::LowerImport(uint32_t index) {
  const Signature& signature = module.SignatureOf(index);
  llvm::Function* function = FunctionAt(index);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", function));
  llvm::Value* wasm_context = function->getArg(0);
  uint32_t param_slots = 0;
  uint32_t result_slots = 0;
  for (const ValType type : signature.params) param_slots += SlotCount(type);
  for (const ValType type : signature.results) result_slots += SlotCount(type);
  llvm::Value* slots =
      builder.CreateAlloca(i64, builder.getInt32(std::max({param_slots, result_slots, 1u})));
  llvm::Value* bound = builder.CreateAlignedLoad(
      ptr,
      builder.CreateConstInBoundsGEP1_64(i8, wasm_context,
                                         module.layout.imports + index * sizeof(HostImport)),
      llvm::Align(8));
  auto* unknown = llvm::BasicBlock::Create(context, "unknown", function);
  auto* known = llvm::BasicBlock::Create(context, "known", function);
  builder.CreateCondBr(builder.CreateIsNull(bound), unknown, known, unlikely);
  builder.SetInsertPoint(unknown);
  auto* trap =
      builder.CreateIntrinsic(llvm::Intrinsic::ubsantrap, {},
                              {builder.getInt8(static_cast<uint8_t>(TrapCode::kUnknownImport))});
  trap->setDoesNotReturn();
  builder.CreateUnreachable();
  builder.SetInsertPoint(known);
  std::vector<llvm::Value*> arguments;
  arguments.reserve(signature.params.size());
  for (size_t i = 0; i < signature.params.size(); ++i) arguments.push_back(function->getArg(i + 1));
  StoreSlots(*this, builder, slots, arguments);
  llvm::Value* target = builder.CreateAlignedLoad(
      ptr, builder.CreateConstInBoundsGEP1_64(i8, wasm_context, offsetof(Context, host_call)),
      llvm::Align(8));
  auto* type = llvm::FunctionType::get(void_type, {ptr, i32, ptr}, false);
  MarkCall(builder.CreateCall(type, target, {wasm_context, builder.getInt32(index), slots}), false);
  if (signature.results.size() == 1) {
    builder.CreateRet(LoadSlot(*this, builder, slots, 0, signature.results[0]));
    return;
  }
  llvm::Value* area = builder.CreateConstInBoundsGEP1_64(i8, wasm_context, module.layout.results);
  for (uint32_t i = 0; i < result_slots; ++i) {
    auto* value = builder.CreateAlignedLoad(i64, builder.CreateConstInBoundsGEP1_32(i64, slots, i),
                                            llvm::Align(8));
    builder.CreateAlignedStore(value, builder.CreateConstInBoundsGEP1_32(i64, area, i),
                               llvm::Align(8));
  }
  builder.CreateRetVoid();
}

void Partition::LowerFunction(uint32_t index) {
  if (module.functions[index].imported) {
    LowerImport(index);
  } else {
    FunctionLowering(*this, index).Run();
  }
}

}  // namespace cordon::wasm
