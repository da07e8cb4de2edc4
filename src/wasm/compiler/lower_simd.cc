#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <numeric>

#include "wasm/compiler/lowering.h"

// Vectors travel as <2 x i64> and are cast to the shape of each instruction.

namespace cordon::wasm {

using wabt::Opcode;
namespace Intrinsic = llvm::Intrinsic;

llvm::FixedVectorType* FunctionLowering::Lanes(unsigned bits) const {
  return llvm::FixedVectorType::get(llvm::IntegerType::get(p_.context, bits), 128 / bits);
}

llvm::FixedVectorType* FunctionLowering::FloatLanes(unsigned bits) const {
  return llvm::FixedVectorType::get(bits == 32 ? p_.f32 : p_.f64, 128 / bits);
}

FunctionLowering::Value* FunctionLowering::PopAs(llvm::Type* type) {
  return b_.CreateBitCast(Pop(), type);
}

void FunctionLowering::PushVector(Value* value) {
  Push(b_.CreateBitCast(value, p_.v128));
}

bool FunctionLowering::StepVector(const Instr& instr) {
  return StepVectorMemory(instr) || StepVectorLanes(instr) || StepVectorInteger(instr) ||
         StepVectorWiden(instr) || StepVectorFloat(instr);
}

bool FunctionLowering::StepVectorMemory(const Instr& instr) {
  const auto extend = [&](unsigned bits, bool is_signed) {
    llvm::Type* narrow = llvm::FixedVectorType::get(b_.getIntNTy(bits), 64 / bits);
    Value* value = Load(narrow, Address(Pop(), instr.b));
    PushVector(is_signed ? b_.CreateSExt(value, Lanes(bits * 2))
                         : b_.CreateZExt(value, Lanes(bits * 2)));
    return true;
  };
  const auto splat = [&](unsigned bits) {
    Value* value = Load(b_.getIntNTy(bits), Address(Pop(), instr.b));
    PushVector(b_.CreateVectorSplat(128 / bits, value));
    return true;
  };
  const auto zero = [&](unsigned bits) {
    Value* value = Load(b_.getIntNTy(bits), Address(Pop(), instr.b));
    PushVector(
        b_.CreateInsertElement(llvm::Constant::getNullValue(Lanes(bits)), value, uint64_t{0}));
    return true;
  };
  const auto load_lane = [&](unsigned bits) {
    Value* vector = PopAs(Lanes(bits));
    Value* value = Load(b_.getIntNTy(bits), Address(Pop(), instr.b));
    PushVector(b_.CreateInsertElement(vector, value, uint64_t{instr.a}));
    return true;
  };
  const auto store_lane = [&](unsigned bits) {
    Value* value = b_.CreateExtractElement(PopAs(Lanes(bits)), uint64_t{instr.a});
    Store(value, Address(Pop(), instr.b));
    return true;
  };
  switch (instr.opcode) {
    case Opcode::V128Load:
      Push(Load(p_.v128, Address(Pop(), instr.b)));
      return true;
    case Opcode::V128Store: {
      Value* value = Pop();
      Store(value, Address(Pop(), instr.b));
      return true;
    }
    case Opcode::V128Load8X8S:
      return extend(8, true);
    case Opcode::V128Load8X8U:
      return extend(8, false);
    case Opcode::V128Load16X4S:
      return extend(16, true);
    case Opcode::V128Load16X4U:
      return extend(16, false);
    case Opcode::V128Load32X2S:
      return extend(32, true);
    case Opcode::V128Load32X2U:
      return extend(32, false);
    case Opcode::V128Load8Splat:
      return splat(8);
    case Opcode::V128Load16Splat:
      return splat(16);
    case Opcode::V128Load32Splat:
      return splat(32);
    case Opcode::V128Load64Splat:
      return splat(64);
    case Opcode::V128Load32Zero:
      return zero(32);
    case Opcode::V128Load64Zero:
      return zero(64);
    case Opcode::V128Load8Lane:
      return load_lane(8);
    case Opcode::V128Load16Lane:
      return load_lane(16);
    case Opcode::V128Load32Lane:
      return load_lane(32);
    case Opcode::V128Load64Lane:
      return load_lane(64);
    case Opcode::V128Store8Lane:
      return store_lane(8);
    case Opcode::V128Store16Lane:
      return store_lane(16);
    case Opcode::V128Store32Lane:
      return store_lane(32);
    case Opcode::V128Store64Lane:
      return store_lane(64);
    default:
      return false;
  }
}

bool FunctionLowering::StepVectorLanes(const Instr& instr) {
  const auto splat = [this](llvm::FixedVectorType* type) {
    Value* value = Pop();
    if (type->getElementType()->isIntegerTy()) {
      value = b_.CreateTrunc(value, type->getElementType());
    }
    PushVector(b_.CreateVectorSplat(type->getNumElements(), value));
    return true;
  };
  const auto extract = [&](llvm::FixedVectorType* type, bool is_signed = false) {
    Value* value = b_.CreateExtractElement(PopAs(type), uint64_t{instr.a});
    if (value->getType()->isIntegerTy() && !value->getType()->isIntegerTy(64)) {
      value = is_signed ? b_.CreateSExt(value, p_.i32) : b_.CreateZExt(value, p_.i32);
    }
    Push(value);
    return true;
  };
  const auto replace = [&](llvm::FixedVectorType* type) {
    Value* value = Pop();
    if (value->getType()->isIntegerTy()) value = b_.CreateTrunc(value, type->getElementType());
    PushVector(b_.CreateInsertElement(PopAs(type), value, uint64_t{instr.a}));
    return true;
  };
  switch (instr.opcode) {
    case Opcode::V128Const:
      Push(llvm::ConstantDataVector::get(
          p_.context, llvm::ArrayRef<uint64_t>(function_.pool.data() + instr.a, 2)));
      return true;
    case Opcode::I8X16Shuffle: {
      const auto* lanes = reinterpret_cast<const uint8_t*>(function_.pool.data() + instr.a);
      const llvm::SmallVector<int, 16> mask(lanes, lanes + 16);
      Value* right = PopAs(Lanes(8));
      Value* left = PopAs(Lanes(8));
      PushVector(b_.CreateShuffleVector(left, right, mask));
      return true;
    }
    case Opcode::I8X16Swizzle: {
      // pshufb takes a lane's low four bits and gives zero where bit 7 is set: adding 0x70 with
      // saturation sets it for every index above 15.
      Value* indexes = PopAs(Lanes(8));
      Value* vector = PopAs(Lanes(8));
      Value* bias = b_.CreateVectorSplat(16, b_.getInt8(0x70));
      indexes = Binary(Intrinsic::uadd_sat, indexes, bias);
      PushVector(b_.CreateIntrinsic(Intrinsic::x86_ssse3_pshuf_b_128, {}, {vector, indexes}));
      return true;
    }
    case Opcode::I8X16Splat:
      return splat(Lanes(8));
    case Opcode::I16X8Splat:
      return splat(Lanes(16));
    case Opcode::I32X4Splat:
      return splat(Lanes(32));
    case Opcode::I64X2Splat:
      return splat(Lanes(64));
    case Opcode::F32X4Splat:
      return splat(FloatLanes(32));
    case Opcode::F64X2Splat:
      return splat(FloatLanes(64));
    case Opcode::I8X16ExtractLaneS:
      return extract(Lanes(8), true);
    case Opcode::I8X16ExtractLaneU:
      return extract(Lanes(8));
    case Opcode::I16X8ExtractLaneS:
      return extract(Lanes(16), true);
    case Opcode::I16X8ExtractLaneU:
      return extract(Lanes(16));
    case Opcode::I32X4ExtractLane:
      return extract(Lanes(32));
    case Opcode::I64X2ExtractLane:
      return extract(Lanes(64));
    case Opcode::F32X4ExtractLane:
      return extract(FloatLanes(32));
    case Opcode::F64X2ExtractLane:
      return extract(FloatLanes(64));
    case Opcode::I8X16ReplaceLane:
      return replace(Lanes(8));
    case Opcode::I16X8ReplaceLane:
      return replace(Lanes(16));
    case Opcode::I32X4ReplaceLane:
      return replace(Lanes(32));
    case Opcode::I64X2ReplaceLane:
      return replace(Lanes(64));
    case Opcode::F32X4ReplaceLane:
      return replace(FloatLanes(32));
    case Opcode::F64X2ReplaceLane:
      return replace(FloatLanes(64));
    case Opcode::V128Not:
      Push(b_.CreateNot(Pop()));
      return true;
    case Opcode::V128And:
    case Opcode::V128Andnot:
    case Opcode::V128Or:
    case Opcode::V128Xor: {
      Value* right = Pop();
      Value* left = Pop();
      if (instr.opcode == Opcode::V128Andnot) right = b_.CreateNot(right);
      if (instr.opcode == Opcode::V128Or) {
        Push(b_.CreateOr(left, right));
      } else if (instr.opcode == Opcode::V128Xor) {
        Push(b_.CreateXor(left, right));
      } else {
        Push(b_.CreateAnd(left, right));
      }
      return true;
    }
    case Opcode::V128BitSelect: {
      Value* mask = Pop();
      Value* otherwise = Pop();
      Value* value = Pop();
      Push(b_.CreateOr(b_.CreateAnd(value, mask), b_.CreateAnd(otherwise, b_.CreateNot(mask))));
      return true;
    }
    case Opcode::V128AnyTrue: {
      Value* whole = PopAs(b_.getInt128Ty());
      Push(b_.CreateZExt(b_.CreateIsNotNull(whole), p_.i32));
      return true;
    }
    default:
      return false;
  }
}

FunctionLowering::Value* FunctionLowering::Half(Value* vector, bool high) {
  auto* type = llvm::cast<llvm::FixedVectorType>(vector->getType());
  const unsigned count = type->getNumElements() / 2;
  llvm::SmallVector<int, 16> mask(count);
  std::iota(mask.begin(), mask.end(), high ? static_cast<int>(count) : 0);
  return b_.CreateShuffleVector(vector, mask);
}

// Each lane at twice the width.
FunctionLowering::Value* FunctionLowering::Extend(Value* vector, bool is_signed) {
  auto* type = llvm::VectorType::getExtendedElementVectorType(
      llvm::cast<llvm::VectorType>(vector->getType()));
  return is_signed ? b_.CreateSExt(vector, type) : b_.CreateZExt(vector, type);
}

bool FunctionLowering::StepVectorWiden(const Instr& instr) {
  const auto extend = [this](unsigned bits, bool high, bool is_signed) {
    PushVector(Extend(Half(PopAs(Lanes(bits)), high), is_signed));
    return true;
  };
  const auto extmul = [this](unsigned bits, bool high, bool is_signed) {
    Value* right = Extend(Half(PopAs(Lanes(bits)), high), is_signed);
    Value* left = Extend(Half(PopAs(Lanes(bits)), high), is_signed);
    PushVector(b_.CreateMul(left, right));
    return true;
  };
  const auto pairs = [this](Value* wide) {
    auto* type = llvm::cast<llvm::FixedVectorType>(wide->getType());
    llvm::SmallVector<int, 16> even;
    llvm::SmallVector<int, 16> odd;
    for (int i = 0; i < static_cast<int>(type->getNumElements()); i += 2) {
      even.push_back(i);
      odd.push_back(i + 1);
    }
    return b_.CreateAdd(b_.CreateShuffleVector(wide, even), b_.CreateShuffleVector(wide, odd));
  };
  const auto extadd = [&](unsigned bits, bool is_signed) {
    PushVector(pairs(Extend(PopAs(Lanes(bits)), is_signed)));
    return true;
  };
  // Two vectors of wide lanes into one of lanes half as wide, saturating.
  const auto narrow = [this](Intrinsic::ID id, unsigned bits) {
    Value* right = PopAs(Lanes(bits));
    Value* left = PopAs(Lanes(bits));
    PushVector(b_.CreateIntrinsic(id, {}, {left, right}));
    return true;
  };
  switch (instr.opcode) {
    case Opcode::I16X8ExtendLowI8X16S:
      return extend(8, false, true);
    case Opcode::I16X8ExtendHighI8X16S:
      return extend(8, true, true);
    case Opcode::I16X8ExtendLowI8X16U:
      return extend(8, false, false);
    case Opcode::I16X8ExtendHighI8X16U:
      return extend(8, true, false);
    case Opcode::I32X4ExtendLowI16X8S:
      return extend(16, false, true);
    case Opcode::I32X4ExtendHighI16X8S:
      return extend(16, true, true);
    case Opcode::I32X4ExtendLowI16X8U:
      return extend(16, false, false);
    case Opcode::I32X4ExtendHighI16X8U:
      return extend(16, true, false);
    case Opcode::I64X2ExtendLowI32X4S:
      return extend(32, false, true);
    case Opcode::I64X2ExtendHighI32X4S:
      return extend(32, true, true);
    case Opcode::I64X2ExtendLowI32X4U:
      return extend(32, false, false);
    case Opcode::I64X2ExtendHighI32X4U:
      return extend(32, true, false);
    case Opcode::I16X8ExtmulLowI8X16S:
      return extmul(8, false, true);
    case Opcode::I16X8ExtmulHighI8X16S:
      return extmul(8, true, true);
    case Opcode::I16X8ExtmulLowI8X16U:
      return extmul(8, false, false);
    case Opcode::I16X8ExtmulHighI8X16U:
      return extmul(8, true, false);
    case Opcode::I32X4ExtmulLowI16X8S:
      return extmul(16, false, true);
    case Opcode::I32X4ExtmulHighI16X8S:
      return extmul(16, true, true);
    case Opcode::I32X4ExtmulLowI16X8U:
      return extmul(16, false, false);
    case Opcode::I32X4ExtmulHighI16X8U:
      return extmul(16, true, false);
    case Opcode::I64X2ExtmulLowI32X4S:
      return extmul(32, false, true);
    case Opcode::I64X2ExtmulHighI32X4S:
      return extmul(32, true, true);
    case Opcode::I64X2ExtmulLowI32X4U:
      return extmul(32, false, false);
    case Opcode::I64X2ExtmulHighI32X4U:
      return extmul(32, true, false);
    case Opcode::I16X8ExtaddPairwiseI8X16S:
      return extadd(8, true);
    case Opcode::I16X8ExtaddPairwiseI8X16U:
      return extadd(8, false);
    case Opcode::I32X4ExtaddPairwiseI16X8S:
      return extadd(16, true);
    case Opcode::I32X4ExtaddPairwiseI16X8U:
      return extadd(16, false);
    case Opcode::I32X4DotI16X8S: {
      Value* right = PopAs(Lanes(16));
      Value* left = PopAs(Lanes(16));
      PushVector(b_.CreateIntrinsic(Intrinsic::x86_sse2_pmadd_wd, {}, {left, right}));
      return true;
    }
    case Opcode::I8X16NarrowI16X8S:
      return narrow(Intrinsic::x86_sse2_packsswb_128, 16);
    case Opcode::I8X16NarrowI16X8U:
      return narrow(Intrinsic::x86_sse2_packuswb_128, 16);
    case Opcode::I16X8NarrowI32X4S:
      return narrow(Intrinsic::x86_sse2_packssdw_128, 32);
    case Opcode::I16X8NarrowI32X4U:
      return narrow(Intrinsic::x86_sse41_packusdw, 32);
    default:
      return false;
  }
}

}  // namespace cordon::wasm
