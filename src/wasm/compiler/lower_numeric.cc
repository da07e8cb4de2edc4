#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>

#include <limits>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

using llvm::CmpInst;
using llvm::Instruction;
using wabt::Opcode;
namespace Intrinsic = llvm::Intrinsic;

FunctionLowering::Value* FunctionLowering::Unary(llvm::Intrinsic::ID id, Value* value) {
  return b_.CreateUnaryIntrinsic(id, value);
}

FunctionLowering::Value* FunctionLowering::Binary(llvm::Intrinsic::ID id, Value* left,
                                                  Value* right) {
  return b_.CreateBinaryIntrinsic(id, left, right);
}

void FunctionLowering::Compare(CmpInst::Predicate predicate) {
  Value* right = Pop();
  Value* left = Pop();
  Push(b_.CreateZExt(b_.CreateCmp(predicate, left, right), p_.i32));
}

void FunctionLowering::Divide(bool is_signed, bool remainder) {
  Value* right = Pop();
  Value* left = Pop();
  llvm::Type* type = left->getType();
  TrapIf(b_.CreateIsNull(right), TrapCode::kIntegerDivideByZero);
  if (is_signed) {
    Value* minus_one = llvm::Constant::getAllOnesValue(type);
    Value* is_minus_one = b_.CreateICmpEQ(right, minus_one);
    if (remainder) {
      // The remainder by -1 is 0, but the machine's division overflows for the smallest number.
      right = b_.CreateSelect(is_minus_one, llvm::ConstantInt::get(type, 1), right);
    } else {
      Value* smallest =
          llvm::ConstantInt::get(type, llvm::APInt::getSignedMinValue(type->getIntegerBitWidth()));
      TrapIf(b_.CreateAnd(is_minus_one, b_.CreateICmpEQ(left, smallest)),
             TrapCode::kIntegerOverflow);
    }
  }
  if (remainder) {
    Push(is_signed ? b_.CreateSRem(left, right) : b_.CreateURem(left, right));
  } else {
    Push(is_signed ? b_.CreateSDiv(left, right) : b_.CreateUDiv(left, right));
  }
}

void FunctionLowering::Shift(Instruction::BinaryOps op) {
  Value* right = Pop();
  Value* left = Pop();
  const unsigned mask = left->getType()->getIntegerBitWidth() - 1;
  Push(b_.CreateBinOp(op, left,
                      b_.CreateAnd(right, llvm::ConstantInt::get(right->getType(), mask))));
}

void FunctionLowering::Rotate(llvm::Intrinsic::ID id) {
  Value* right = Pop();
  Value* left = Pop();
  Push(b_.CreateIntrinsic(id, {left->getType()}, {left, left, right}));
}

bool FunctionLowering::StepInteger(const Instr& instr) {
  const auto binary = [this](Instruction::BinaryOps op) {
    Value* right = Pop();
    Value* left = Pop();
    Push(b_.CreateBinOp(op, left, right));
    return true;
  };
  const auto compare = [this](CmpInst::Predicate predicate) {
    Compare(predicate);
    return true;
  };
  switch (instr.opcode) {
    case Opcode::I32Const:
      Push(b_.getInt32(static_cast<uint32_t>(instr.b)));
      return true;
    case Opcode::I64Const:
      Push(b_.getInt64(instr.b));
      return true;
    case Opcode::I32Eqz:
    case Opcode::I64Eqz:
      Push(b_.CreateZExt(b_.CreateIsNull(Pop()), p_.i32));
      return true;
    case Opcode::I32Eq:
    case Opcode::I64Eq:
      return compare(CmpInst::ICMP_EQ);
    case Opcode::I32Ne:
    case Opcode::I64Ne:
      return compare(CmpInst::ICMP_NE);
    case Opcode::I32LtS:
    case Opcode::I64LtS:
      return compare(CmpInst::ICMP_SLT);
    case Opcode::I32LtU:
    case Opcode::I64LtU:
      return compare(CmpInst::ICMP_ULT);
    case Opcode::I32GtS:
    case Opcode::I64GtS:
      return compare(CmpInst::ICMP_SGT);
    case Opcode::I32GtU:
    case Opcode::I64GtU:
      return compare(CmpInst::ICMP_UGT);
    case Opcode::I32LeS:
    case Opcode::I64LeS:
      return compare(CmpInst::ICMP_SLE);
    case Opcode::I32LeU:
    case Opcode::I64LeU:
      return compare(CmpInst::ICMP_ULE);
    case Opcode::I32GeS:
    case Opcode::I64GeS:
      return compare(CmpInst::ICMP_SGE);
    case Opcode::I32GeU:
    case Opcode::I64GeU:
      return compare(CmpInst::ICMP_UGE);
    case Opcode::I32Clz:
    case Opcode::I64Clz:
      Push(Binary(Intrinsic::ctlz, Pop(), b_.getFalse()));
      return true;
    case Opcode::I32Ctz:
    case Opcode::I64Ctz:
      Push(Binary(Intrinsic::cttz, Pop(), b_.getFalse()));
      return true;
    case Opcode::I32Popcnt:
    case Opcode::I64Popcnt:
      Push(Unary(Intrinsic::ctpop, Pop()));
      return true;
    case Opcode::I32Add:
    case Opcode::I64Add:
      return binary(Instruction::Add);
    case Opcode::I32Sub:
    case Opcode::I64Sub:
      return binary(Instruction::Sub);
    case Opcode::I32Mul:
    case Opcode::I64Mul:
      return binary(Instruction::Mul);
    case Opcode::I32And:
    case Opcode::I64And:
      return binary(Instruction::And);
    case Opcode::I32Or:
    case Opcode::I64Or:
      return binary(Instruction::Or);
    case Opcode::I32Xor:
    case Opcode::I64Xor:
      return binary(Instruction::Xor);
    case Opcode::I32DivS:
    case Opcode::I64DivS:
      Divide(true, false);
      return true;
    case Opcode::I32DivU:
    case Opcode::I64DivU:
      Divide(false, false);
      return true;
    case Opcode::I32RemS:
    case Opcode::I64RemS:
      Divide(true, true);
      return true;
    case Opcode::I32RemU:
    case Opcode::I64RemU:
      Divide(false, true);
      return true;
    case Opcode::I32Shl:
    case Opcode::I64Shl:
      Shift(Instruction::Shl);
      return true;
    case Opcode::I32ShrS:
    case Opcode::I64ShrS:
      Shift(Instruction::AShr);
      return true;
    case Opcode::I32ShrU:
    case Opcode::I64ShrU:
      Shift(Instruction::LShr);
      return true;
    case Opcode::I32Rotl:
    case Opcode::I64Rotl:
      Rotate(Intrinsic::fshl);
      return true;
    case Opcode::I32Rotr:
    case Opcode::I64Rotr:
      Rotate(Intrinsic::fshr);
      return true;
    case Opcode::I32WrapI64:
      Push(b_.CreateTrunc(Pop(), p_.i32));
      return true;
    case Opcode::I64ExtendI32S:
      Push(b_.CreateSExt(Pop(), p_.i64));
      return true;
    case Opcode::I64ExtendI32U:
      Push(b_.CreateZExt(Pop(), p_.i64));
      return true;
    case Opcode::I32Extend8S:
    case Opcode::I64Extend8S:
    case Opcode::I32Extend16S:
    case Opcode::I64Extend16S:
    case Opcode::I64Extend32S: {
      llvm::Type* narrow = p_.i32;
      if (instr.opcode == Opcode::I32Extend8S || instr.opcode == Opcode::I64Extend8S) {
        narrow = p_.i8;
      } else if (instr.opcode != Opcode::I64Extend32S) {
        narrow = p_.i16;
      }
      Value* value = Pop();
      Push(b_.CreateSExt(b_.CreateTrunc(value, narrow), value->getType()));
      return true;
    }
    default:
      return false;
  }
}

namespace {

// Constants that make LLVM drop the operation: x*1, x/1, x-0, x+-0, -1*x. Dropping it leaves a
// signalling NaN signalling, and WebAssembly says it becomes quiet.
bool DropsOperation(const llvm::Value* value) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  if (constant == nullptr) return false;
  if (constant->getType()->isVectorTy()) return true;
  const auto* number = llvm::dyn_cast<llvm::ConstantFP>(constant);
  return number == nullptr || number->isZero() || number->isExactlyValue(1.0) ||
         number->isExactlyValue(-1.0);
}

}  // namespace

FunctionLowering::Value* FunctionLowering::FloatBinary(unsigned op, Value* left, Value* right) {
  const auto binary_op = static_cast<Instruction::BinaryOps>(op);
  if (!DropsOperation(left) && !DropsOperation(right))
    return b_.CreateBinOp(binary_op, left, right);
  Intrinsic::ID id = Intrinsic::experimental_constrained_fadd;
  if (binary_op == Instruction::FSub) id = Intrinsic::experimental_constrained_fsub;
  if (binary_op == Instruction::FMul) id = Intrinsic::experimental_constrained_fmul;
  if (binary_op == Instruction::FDiv) id = Intrinsic::experimental_constrained_fdiv;
  return b_.CreateConstrainedFPBinOp(id, left, right, nullptr, "", nullptr,
                                     llvm::RoundingMode::NearestTiesToEven, llvm::fp::ebStrict);
}

// NaN if one is, -0 below +0. For scalars and vectors.
FunctionLowering::Value* FunctionLowering::FloatMinMax(bool is_max, Value* left, Value* right) {
  llvm::Type* type = left->getType();
  llvm::Type* bits = type->isVectorTy()
                         ? static_cast<llvm::Type*>(
                               llvm::VectorType::getInteger(llvm::cast<llvm::VectorType>(type)))
                         : b_.getIntNTy(static_cast<unsigned>(type->getPrimitiveSizeInBits()));
  Value* left_bits = b_.CreateBitCast(left, bits);
  Value* right_bits = b_.CreateBitCast(right, bits);
  Value* zeros = is_max ? b_.CreateAnd(left_bits, right_bits) : b_.CreateOr(left_bits, right_bits);
  Value* less = is_max ? b_.CreateFCmpOGT(left, right) : b_.CreateFCmpOLT(left, right);
  Value* ordered = b_.CreateSelect(less, left, right);
  Value* number =
      b_.CreateSelect(b_.CreateFCmpOEQ(left, right), b_.CreateBitCast(zeros, type), ordered);
  Value* quiet = FloatBinary(Instruction::FAdd, left, right);
  return b_.CreateSelect(b_.CreateFCmpUNO(left, right), quiet, number);
}

bool FunctionLowering::StepFloat(const Instr& instr) {
  const auto unary = [this](Intrinsic::ID id) {
    Push(Unary(id, Pop()));
    return true;
  };
  const auto binary = [this](unsigned op) {
    Value* right = Pop();
    Value* left = Pop();
    Push(FloatBinary(op, left, right));
    return true;
  };
  const auto compare = [this](CmpInst::Predicate predicate) {
    Compare(predicate);
    return true;
  };
  switch (instr.opcode) {
    case Opcode::F32Const:
      Push(llvm::ConstantFP::get(
          p_.context, llvm::APFloat(llvm::APFloat::IEEEsingle(), llvm::APInt(32, instr.b))));
      return true;
    case Opcode::F64Const:
      Push(llvm::ConstantFP::get(
          p_.context, llvm::APFloat(llvm::APFloat::IEEEdouble(), llvm::APInt(64, instr.b))));
      return true;
    case Opcode::F32Eq:
    case Opcode::F64Eq:
      return compare(CmpInst::FCMP_OEQ);
    case Opcode::F32Ne:
    case Opcode::F64Ne:
      return compare(CmpInst::FCMP_UNE);
    case Opcode::F32Lt:
    case Opcode::F64Lt:
      return compare(CmpInst::FCMP_OLT);
    case Opcode::F32Gt:
    case Opcode::F64Gt:
      return compare(CmpInst::FCMP_OGT);
    case Opcode::F32Le:
    case Opcode::F64Le:
      return compare(CmpInst::FCMP_OLE);
    case Opcode::F32Ge:
    case Opcode::F64Ge:
      return compare(CmpInst::FCMP_OGE);
    case Opcode::F32Abs:
    case Opcode::F64Abs:
      return unary(Intrinsic::fabs);
    case Opcode::F32Neg:
    case Opcode::F64Neg:
      Push(b_.CreateFNeg(Pop()));
      return true;
    case Opcode::F32Ceil:
    case Opcode::F64Ceil:
      return unary(Intrinsic::ceil);
    case Opcode::F32Floor:
    case Opcode::F64Floor:
      return unary(Intrinsic::floor);
    case Opcode::F32Trunc:
    case Opcode::F64Trunc:
      return unary(Intrinsic::trunc);
    case Opcode::F32Nearest:
    case Opcode::F64Nearest:
      return unary(Intrinsic::roundeven);
    case Opcode::F32Sqrt:
    case Opcode::F64Sqrt:
      return unary(Intrinsic::sqrt);
    case Opcode::F32Add:
    case Opcode::F64Add:
      return binary(Instruction::FAdd);
    case Opcode::F32Sub:
    case Opcode::F64Sub:
      return binary(Instruction::FSub);
    case Opcode::F32Mul:
    case Opcode::F64Mul:
      return binary(Instruction::FMul);
    case Opcode::F32Div:
    case Opcode::F64Div:
      return binary(Instruction::FDiv);
    case Opcode::F32Min:
    case Opcode::F64Min:
    case Opcode::F32Max:
    case Opcode::F64Max: {
      Value* right = Pop();
      Value* left = Pop();
      const bool is_max = instr.opcode == Opcode::F32Max || instr.opcode == Opcode::F64Max;
      Push(FloatMinMax(is_max, left, right));
      return true;
    }
    case Opcode::F32Copysign:
    case Opcode::F64Copysign: {
      Value* right = Pop();
      Value* left = Pop();
      Push(Binary(Intrinsic::copysign, left, right));
      return true;
    }
    default:
      return false;
  }
}

// Float to integer: the range is checked first, because the machine's answer for what does not fit
// is one number for everything.
void FunctionLowering::Truncate(llvm::Type* to, bool is_signed) {
  Value* value = Pop();
  llvm::Type* type = value->getType();
  const bool single = type->isFloatTy();
  const unsigned bits = to->getIntegerBitWidth();
  double low = -1.0;  // exclusive
  double high = bits == 32 ? 4294967296.0 : 18446744073709551616.0;
  bool low_inclusive = false;
  if (is_signed) {
    high /= 2;
    low = -high;
    // Only doubles have numbers between -2^31 - 1 and -2^31.
    if (bits == 32 && !single) {
      low -= 1;
    } else {
      low_inclusive = true;
    }
  }
  TrapIf(b_.CreateFCmpUNO(value, value), TrapCode::kInvalidConversion);
  Value* low_constant = llvm::ConstantFP::get(type, low);
  Value* above =
      low_inclusive ? b_.CreateFCmpOGE(value, low_constant) : b_.CreateFCmpOGT(value, low_constant);
  Value* below = b_.CreateFCmpOLT(value, llvm::ConstantFP::get(type, high));
  TrapIf(b_.CreateNot(b_.CreateAnd(above, below)), TrapCode::kIntegerOverflow);
  Push(is_signed ? b_.CreateFPToSI(value, to) : b_.CreateFPToUI(value, to));
}

void FunctionLowering::TruncateSaturating(llvm::Type* to, bool is_signed) {
  Value* value = Pop();
  Push(b_.CreateIntrinsic(is_signed ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat,
                          {to, value->getType()}, {value}));
}

bool FunctionLowering::StepConversion(const Instr& instr) {
  switch (instr.opcode) {
    case Opcode::I32TruncF32S:
    case Opcode::I32TruncF64S:
      Truncate(p_.i32, true);
      return true;
    case Opcode::I32TruncF32U:
    case Opcode::I32TruncF64U:
      Truncate(p_.i32, false);
      return true;
    case Opcode::I64TruncF32S:
    case Opcode::I64TruncF64S:
      Truncate(p_.i64, true);
      return true;
    case Opcode::I64TruncF32U:
    case Opcode::I64TruncF64U:
      Truncate(p_.i64, false);
      return true;
    case Opcode::I32TruncSatF32S:
    case Opcode::I32TruncSatF64S:
      TruncateSaturating(p_.i32, true);
      return true;
    case Opcode::I32TruncSatF32U:
    case Opcode::I32TruncSatF64U:
      TruncateSaturating(p_.i32, false);
      return true;
    case Opcode::I64TruncSatF32S:
    case Opcode::I64TruncSatF64S:
      TruncateSaturating(p_.i64, true);
      return true;
    case Opcode::I64TruncSatF32U:
    case Opcode::I64TruncSatF64U:
      TruncateSaturating(p_.i64, false);
      return true;
    case Opcode::F32ConvertI32S:
    case Opcode::F32ConvertI64S:
      Push(b_.CreateSIToFP(Pop(), p_.f32));
      return true;
    case Opcode::F32ConvertI32U:
    case Opcode::F32ConvertI64U:
      Push(b_.CreateUIToFP(Pop(), p_.f32));
      return true;
    case Opcode::F64ConvertI32S:
    case Opcode::F64ConvertI64S:
      Push(b_.CreateSIToFP(Pop(), p_.f64));
      return true;
    case Opcode::F64ConvertI32U:
    case Opcode::F64ConvertI64U:
      Push(b_.CreateUIToFP(Pop(), p_.f64));
      return true;
    case Opcode::F64PromoteF32:
      Push(b_.CreateFPExt(Pop(), p_.f64));
      return true;
    case Opcode::F32DemoteF64: {
      Value* value = Pop();
      if (llvm::isa<llvm::FPExtInst>(value)) {
        // The pair would be dropped, and a signalling NaN would stay one.
        Push(b_.CreateConstrainedFPCast(Intrinsic::experimental_constrained_fptrunc, value, p_.f32,
                                        nullptr, "", nullptr, llvm::RoundingMode::NearestTiesToEven,
                                        llvm::fp::ebStrict));
      } else {
        Push(b_.CreateFPTrunc(value, p_.f32));
      }
      return true;
    }
    case Opcode::I32ReinterpretF32:
      Push(b_.CreateBitCast(Pop(), p_.i32));
      return true;
    case Opcode::I64ReinterpretF64:
      Push(b_.CreateBitCast(Pop(), p_.i64));
      return true;
    case Opcode::F32ReinterpretI32:
      Push(b_.CreateBitCast(Pop(), p_.f32));
      return true;
    case Opcode::F64ReinterpretI64:
      Push(b_.CreateBitCast(Pop(), p_.f64));
      return true;
    default:
      return false;
  }
}

}  // namespace cordon::wasm
