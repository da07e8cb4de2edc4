#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

using llvm::CmpInst;
using llvm::Instruction;
using wabt::Opcode;
namespace Intrinsic = llvm::Intrinsic;

void FunctionLowering::VectorShift(unsigned bits, Instruction::BinaryOps op) {
  Value* amount = b_.CreateAnd(Pop(), b_.getInt32(bits - 1));
  llvm::FixedVectorType* type = Lanes(bits);
  Value* lane = b_.CreateZExtOrTrunc(amount, type->getElementType());
  Value* vector = PopAs(type);
  PushVector(b_.CreateBinOp(op, vector, b_.CreateVectorSplat(type->getNumElements(), lane)));
}

void FunctionLowering::VectorCompare(llvm::Type* type, CmpInst::Predicate predicate) {
  Value* right = PopAs(type);
  Value* left = PopAs(type);
  auto* result = llvm::VectorType::getInteger(llvm::cast<llvm::VectorType>(type));
  PushVector(b_.CreateSExt(b_.CreateCmp(predicate, left, right), result));
}

namespace {

// The integer instructions that exist for several widths, as rows: the operation and the opcode
// for lanes of 8, 16, 32 and 64 bits (Invalid where there is none).
enum class VectorOp {
  kAdd,
  kSub,
  kMul,
  kAddSatS,
  kAddSatU,
  kSubSatS,
  kSubSatU,
  kMinS,
  kMinU,
  kMaxS,
  kMaxU,
  kAvgr,
  kAbs,
  kNeg,
  kAllTrue,
  kBitmask,
  kShl,
  kShrS,
  kShrU,
  kEq,
  kNe,
  kLtS,
  kLtU,
  kGtS,
  kGtU,
  kLeS,
  kLeU,
  kGeS,
  kGeU,
};
struct VectorRow {
  VectorOp op;
  Opcode::Enum opcodes[4];
};
constexpr Opcode::Enum kNo = Opcode::Invalid;
// clang-format off
constexpr VectorRow kRows[] = {
    {VectorOp::kAdd,     {Opcode::I8X16Add,     Opcode::I16X8Add,     Opcode::I32X4Add,     Opcode::I64X2Add}},
    {VectorOp::kSub,     {Opcode::I8X16Sub,     Opcode::I16X8Sub,     Opcode::I32X4Sub,     Opcode::I64X2Sub}},
    {VectorOp::kMul,     {kNo,                  Opcode::I16X8Mul,     Opcode::I32X4Mul,     Opcode::I64X2Mul}},
    {VectorOp::kAddSatS, {Opcode::I8X16AddSatS, Opcode::I16X8AddSatS, kNo,                  kNo}},
    {VectorOp::kAddSatU, {Opcode::I8X16AddSatU, Opcode::I16X8AddSatU, kNo,                  kNo}},
    {VectorOp::kSubSatS, {Opcode::I8X16SubSatS, Opcode::I16X8SubSatS, kNo,                  kNo}},
    {VectorOp::kSubSatU, {Opcode::I8X16SubSatU, Opcode::I16X8SubSatU, kNo,                  kNo}},
    {VectorOp::kMinS,    {Opcode::I8X16MinS,    Opcode::I16X8MinS,    Opcode::I32X4MinS,    kNo}},
    {VectorOp::kMinU,    {Opcode::I8X16MinU,    Opcode::I16X8MinU,    Opcode::I32X4MinU,    kNo}},
    {VectorOp::kMaxS,    {Opcode::I8X16MaxS,    Opcode::I16X8MaxS,    Opcode::I32X4MaxS,    kNo}},
    {VectorOp::kMaxU,    {Opcode::I8X16MaxU,    Opcode::I16X8MaxU,    Opcode::I32X4MaxU,    kNo}},
    {VectorOp::kAvgr,    {Opcode::I8X16AvgrU,   Opcode::I16X8AvgrU,   kNo,                  kNo}},
    {VectorOp::kAbs,     {Opcode::I8X16Abs,     Opcode::I16X8Abs,     Opcode::I32X4Abs,     Opcode::I64X2Abs}},
    {VectorOp::kNeg,     {Opcode::I8X16Neg,     Opcode::I16X8Neg,     Opcode::I32X4Neg,     Opcode::I64X2Neg}},
    {VectorOp::kAllTrue, {Opcode::I8X16AllTrue, Opcode::I16X8AllTrue, Opcode::I32X4AllTrue, Opcode::I64X2AllTrue}},
    {VectorOp::kBitmask, {Opcode::I8X16Bitmask, Opcode::I16X8Bitmask, Opcode::I32X4Bitmask, Opcode::I64X2Bitmask}},
    {VectorOp::kShl,     {Opcode::I8X16Shl,     Opcode::I16X8Shl,     Opcode::I32X4Shl,     Opcode::I64X2Shl}},
    {VectorOp::kShrS,    {Opcode::I8X16ShrS,    Opcode::I16X8ShrS,    Opcode::I32X4ShrS,    Opcode::I64X2ShrS}},
    {VectorOp::kShrU,    {Opcode::I8X16ShrU,    Opcode::I16X8ShrU,    Opcode::I32X4ShrU,    Opcode::I64X2ShrU}},
    {VectorOp::kEq,      {Opcode::I8X16Eq,      Opcode::I16X8Eq,      Opcode::I32X4Eq,      Opcode::I64X2Eq}},
    {VectorOp::kNe,      {Opcode::I8X16Ne,      Opcode::I16X8Ne,      Opcode::I32X4Ne,      Opcode::I64X2Ne}},
    {VectorOp::kLtS,     {Opcode::I8X16LtS,     Opcode::I16X8LtS,     Opcode::I32X4LtS,     Opcode::I64X2LtS}},
    {VectorOp::kLtU,     {Opcode::I8X16LtU,     Opcode::I16X8LtU,     Opcode::I32X4LtU,     kNo}},
    {VectorOp::kGtS,     {Opcode::I8X16GtS,     Opcode::I16X8GtS,     Opcode::I32X4GtS,     Opcode::I64X2GtS}},
    {VectorOp::kGtU,     {Opcode::I8X16GtU,     Opcode::I16X8GtU,     Opcode::I32X4GtU,     kNo}},
    {VectorOp::kLeS,     {Opcode::I8X16LeS,     Opcode::I16X8LeS,     Opcode::I32X4LeS,     Opcode::I64X2LeS}},
    {VectorOp::kLeU,     {Opcode::I8X16LeU,     Opcode::I16X8LeU,     Opcode::I32X4LeU,     kNo}},
    {VectorOp::kGeS,     {Opcode::I8X16GeS,     Opcode::I16X8GeS,     Opcode::I32X4GeS,     Opcode::I64X2GeS}},
    {VectorOp::kGeU,     {Opcode::I8X16GeU,     Opcode::I16X8GeU,     Opcode::I32X4GeU,     kNo}},
};
// clang-format on

struct Found {
  VectorOp op;
  unsigned bits;
};

bool Find(uint16_t opcode, Found* found) {
  for (const VectorRow& row : kRows) {
    for (unsigned i = 0; i < 4; ++i) {
      if (row.opcodes[i] == opcode) {
        *found = {row.op, 8u << i};
        return true;
      }
    }
  }
  return false;
}

}  // namespace

bool FunctionLowering::StepVectorInteger(const Instr& instr) {
  if (instr.opcode == Opcode::I8X16Popcnt) {
    PushVector(Unary(Intrinsic::ctpop, PopAs(Lanes(8))));
    return true;
  }
  if (instr.opcode == Opcode::I16X8Q15mulrSatS) {
    // pmulhrsw does not saturate: only -1 * -1 leaves the range, and gives 0x8000.
    Value* right = PopAs(Lanes(16));
    Value* left = PopAs(Lanes(16));
    Value* product = b_.CreateIntrinsic(Intrinsic::x86_ssse3_pmul_hr_sw_128, {}, {left, right});
    Value* overflowed = b_.CreateICmpEQ(product, b_.CreateVectorSplat(8, b_.getInt16(0x8000)));
    PushVector(b_.CreateXor(product, b_.CreateSExt(overflowed, Lanes(16))));
    return true;
  }
  Found found{};
  if (!Find(instr.opcode, &found)) return false;
  llvm::FixedVectorType* type = Lanes(found.bits);
  const auto arithmetic = [&](Instruction::BinaryOps op) {
    Value* right = PopAs(type);
    Value* left = PopAs(type);
    PushVector(b_.CreateBinOp(op, left, right));
  };
  const auto intrinsic = [&](Intrinsic::ID id) {
    Value* right = PopAs(type);
    Value* left = PopAs(type);
    PushVector(Binary(id, left, right));
  };
  switch (found.op) {
    case VectorOp::kAdd:
      arithmetic(Instruction::Add);
      break;
    case VectorOp::kSub:
      arithmetic(Instruction::Sub);
      break;
    case VectorOp::kMul:
      arithmetic(Instruction::Mul);
      break;
    case VectorOp::kAddSatS:
      intrinsic(Intrinsic::sadd_sat);
      break;
    case VectorOp::kAddSatU:
      intrinsic(Intrinsic::uadd_sat);
      break;
    case VectorOp::kSubSatS:
      intrinsic(Intrinsic::ssub_sat);
      break;
    case VectorOp::kSubSatU:
      intrinsic(Intrinsic::usub_sat);
      break;
    case VectorOp::kMinS:
      intrinsic(Intrinsic::smin);
      break;
    case VectorOp::kMinU:
      intrinsic(Intrinsic::umin);
      break;
    case VectorOp::kMaxS:
      intrinsic(Intrinsic::smax);
      break;
    case VectorOp::kMaxU:
      intrinsic(Intrinsic::umax);
      break;
    case VectorOp::kAvgr: {
      Value* right = Extend(PopAs(type), false);
      Value* left = Extend(PopAs(type), false);
      Value* one = llvm::ConstantInt::get(left->getType(), 1);
      Value* sum = b_.CreateAdd(b_.CreateAdd(left, right), one);
      PushVector(b_.CreateTrunc(b_.CreateLShr(sum, one), type));
      break;
    }
    case VectorOp::kAbs:
      PushVector(Binary(Intrinsic::abs, PopAs(type), b_.getFalse()));
      break;
    case VectorOp::kNeg:
      PushVector(b_.CreateNeg(PopAs(type)));
      break;
    case VectorOp::kAllTrue: {
      Value* zero_lanes = b_.CreateIsNull(PopAs(type));
      Value* bits = b_.CreateBitCast(zero_lanes, b_.getIntNTy(type->getNumElements()));
      Push(b_.CreateZExt(b_.CreateIsNull(bits), p_.i32));
      break;
    }
    case VectorOp::kBitmask: {
      Value* vector = PopAs(type);
      Value* negative = b_.CreateICmpSLT(vector, llvm::Constant::getNullValue(type));
      Value* bits = b_.CreateBitCast(negative, b_.getIntNTy(type->getNumElements()));
      Push(b_.CreateZExt(bits, p_.i32));
      break;
    }
    case VectorOp::kShl:
      VectorShift(found.bits, Instruction::Shl);
      break;
    case VectorOp::kShrS:
      VectorShift(found.bits, Instruction::AShr);
      break;
    case VectorOp::kShrU:
      VectorShift(found.bits, Instruction::LShr);
      break;
    case VectorOp::kEq:
      VectorCompare(type, CmpInst::ICMP_EQ);
      break;
    case VectorOp::kNe:
      VectorCompare(type, CmpInst::ICMP_NE);
      break;
    case VectorOp::kLtS:
      VectorCompare(type, CmpInst::ICMP_SLT);
      break;
    case VectorOp::kLtU:
      VectorCompare(type, CmpInst::ICMP_ULT);
      break;
    case VectorOp::kGtS:
      VectorCompare(type, CmpInst::ICMP_SGT);
      break;
    case VectorOp::kGtU:
      VectorCompare(type, CmpInst::ICMP_UGT);
      break;
    case VectorOp::kLeS:
      VectorCompare(type, CmpInst::ICMP_SLE);
      break;
    case VectorOp::kLeU:
      VectorCompare(type, CmpInst::ICMP_ULE);
      break;
    case VectorOp::kGeS:
      VectorCompare(type, CmpInst::ICMP_SGE);
      break;
    case VectorOp::kGeU:
      VectorCompare(type, CmpInst::ICMP_UGE);
      break;
  }
  return true;
}

bool FunctionLowering::StepVectorFloat(const Instr& instr) {
  const auto unary = [this](unsigned bits, Intrinsic::ID id) {
    PushVector(Unary(id, PopAs(FloatLanes(bits))));
    return true;
  };
  const auto binary = [this](unsigned bits, unsigned op) {
    Value* right = PopAs(FloatLanes(bits));
    Value* left = PopAs(FloatLanes(bits));
    PushVector(FloatBinary(op, left, right));
    return true;
  };
  const auto compare = [this](unsigned bits, CmpInst::Predicate predicate) {
    VectorCompare(FloatLanes(bits), predicate);
    return true;
  };
  const auto min_max = [this](unsigned bits, bool is_max) {
    Value* right = PopAs(FloatLanes(bits));
    Value* left = PopAs(FloatLanes(bits));
    PushVector(FloatMinMax(is_max, left, right));
    return true;
  };
  // pmin(a, b) = b < a ? b : a
  const auto pseudo = [this](unsigned bits, bool is_max) {
    Value* right = PopAs(FloatLanes(bits));
    Value* left = PopAs(FloatLanes(bits));
    Value* take = is_max ? b_.CreateFCmpOLT(left, right) : b_.CreateFCmpOLT(right, left);
    PushVector(b_.CreateSelect(take, right, left));
    return true;
  };
  const auto saturate = [this](bool is_signed, unsigned from) {
    llvm::Type* source = FloatLanes(from);
    llvm::Type* narrow = llvm::FixedVectorType::get(p_.i32, 128 / from);
    Value* value = b_.CreateIntrinsic(is_signed ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat,
                                      {narrow, source}, {PopAs(source)});
    if (from == 64) {
      value = b_.CreateShuffleVector(value, llvm::Constant::getNullValue(narrow), {0, 1, 2, 3});
    }
    PushVector(value);
    return true;
  };
  switch (instr.opcode) {
    case Opcode::F32X4Eq:
      return compare(32, CmpInst::FCMP_OEQ);
    case Opcode::F32X4Ne:
      return compare(32, CmpInst::FCMP_UNE);
    case Opcode::F32X4Lt:
      return compare(32, CmpInst::FCMP_OLT);
    case Opcode::F32X4Gt:
      return compare(32, CmpInst::FCMP_OGT);
    case Opcode::F32X4Le:
      return compare(32, CmpInst::FCMP_OLE);
    case Opcode::F32X4Ge:
      return compare(32, CmpInst::FCMP_OGE);
    case Opcode::F64X2Eq:
      return compare(64, CmpInst::FCMP_OEQ);
    case Opcode::F64X2Ne:
      return compare(64, CmpInst::FCMP_UNE);
    case Opcode::F64X2Lt:
      return compare(64, CmpInst::FCMP_OLT);
    case Opcode::F64X2Gt:
      return compare(64, CmpInst::FCMP_OGT);
    case Opcode::F64X2Le:
      return compare(64, CmpInst::FCMP_OLE);
    case Opcode::F64X2Ge:
      return compare(64, CmpInst::FCMP_OGE);
    case Opcode::F32X4Abs:
      return unary(32, Intrinsic::fabs);
    case Opcode::F64X2Abs:
      return unary(64, Intrinsic::fabs);
    case Opcode::F32X4Neg:
      PushVector(b_.CreateFNeg(PopAs(FloatLanes(32))));
      return true;
    case Opcode::F64X2Neg:
      PushVector(b_.CreateFNeg(PopAs(FloatLanes(64))));
      return true;
    case Opcode::F32X4Sqrt:
      return unary(32, Intrinsic::sqrt);
    case Opcode::F64X2Sqrt:
      return unary(64, Intrinsic::sqrt);
    case Opcode::F32X4Ceil:
      return unary(32, Intrinsic::ceil);
    case Opcode::F64X2Ceil:
      return unary(64, Intrinsic::ceil);
    case Opcode::F32X4Floor:
      return unary(32, Intrinsic::floor);
    case Opcode::F64X2Floor:
      return unary(64, Intrinsic::floor);
    case Opcode::F32X4Trunc:
      return unary(32, Intrinsic::trunc);
    case Opcode::F64X2Trunc:
      return unary(64, Intrinsic::trunc);
    case Opcode::F32X4Nearest:
      return unary(32, Intrinsic::roundeven);
    case Opcode::F64X2Nearest:
      return unary(64, Intrinsic::roundeven);
    case Opcode::F32X4Add:
      return binary(32, Instruction::FAdd);
    case Opcode::F64X2Add:
      return binary(64, Instruction::FAdd);
    case Opcode::F32X4Sub:
      return binary(32, Instruction::FSub);
    case Opcode::F64X2Sub:
      return binary(64, Instruction::FSub);
    case Opcode::F32X4Mul:
      return binary(32, Instruction::FMul);
    case Opcode::F64X2Mul:
      return binary(64, Instruction::FMul);
    case Opcode::F32X4Div:
      return binary(32, Instruction::FDiv);
    case Opcode::F64X2Div:
      return binary(64, Instruction::FDiv);
    case Opcode::F32X4Min:
      return min_max(32, false);
    case Opcode::F64X2Min:
      return min_max(64, false);
    case Opcode::F32X4Max:
      return min_max(32, true);
    case Opcode::F64X2Max:
      return min_max(64, true);
    case Opcode::F32X4PMin:
      return pseudo(32, false);
    case Opcode::F64X2PMin:
      return pseudo(64, false);
    case Opcode::F32X4PMax:
      return pseudo(32, true);
    case Opcode::F64X2PMax:
      return pseudo(64, true);
    case Opcode::I32X4TruncSatF32X4S:
      return saturate(true, 32);
    case Opcode::I32X4TruncSatF32X4U:
      return saturate(false, 32);
    case Opcode::I32X4TruncSatF64X2SZero:
      return saturate(true, 64);
    case Opcode::I32X4TruncSatF64X2UZero:
      return saturate(false, 64);
    case Opcode::F32X4ConvertI32X4S:
      PushVector(b_.CreateSIToFP(PopAs(Lanes(32)), FloatLanes(32)));
      return true;
    case Opcode::F32X4ConvertI32X4U:
      PushVector(b_.CreateUIToFP(PopAs(Lanes(32)), FloatLanes(32)));
      return true;
    case Opcode::F64X2ConvertLowI32X4S:
      PushVector(b_.CreateSIToFP(Half(PopAs(Lanes(32)), false), FloatLanes(64)));
      return true;
    case Opcode::F64X2ConvertLowI32X4U:
      PushVector(b_.CreateUIToFP(Half(PopAs(Lanes(32)), false), FloatLanes(64)));
      return true;
    case Opcode::F64X2PromoteLowF32X4:
      PushVector(b_.CreateFPExt(Half(PopAs(FloatLanes(32)), false), FloatLanes(64)));
      return true;
    case Opcode::F32X4DemoteF64X2Zero: {
      llvm::Type* narrow = llvm::FixedVectorType::get(p_.f32, 2);
      Value* value = b_.CreateFPTrunc(PopAs(FloatLanes(64)), narrow);
      PushVector(b_.CreateShuffleVector(value, llvm::Constant::getNullValue(narrow), {0, 1, 2, 3}));
      return true;
    }
    default:
      return false;
  }
}

}  // namespace cordon::wasm
