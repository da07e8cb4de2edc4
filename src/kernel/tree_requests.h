#ifndef CORDON_KERNEL_TREE_REQUESTS_H_
#define CORDON_KERNEL_TREE_REQUESTS_H_

#include "kernel/control.h"

namespace cordon::control {

// Making a tree is many short requests, one after the other: both sides look for the next one for a
// moment before they sleep. Who reads one has other work for the processor meanwhile.
constexpr bool MakesTrees(Request request) {
  return request >= Request::kTreeMake && request <= Request::kTreeTakeOver;
}

}  // namespace cordon::control

#endif  // CORDON_KERNEL_TREE_REQUESTS_H_
