#ifndef CORDON_BACKEND_WASM_DESCRIPTORS_H_
#define CORDON_BACKEND_WASM_DESCRIPTORS_H_

namespace cordon::backend {

// How the keeper hands over to the template: numbers of descriptors, and the exit status of a
// template that could not lock itself in.
inline constexpr int kControlFd = 3;
inline constexpr int kObjectsFd = 4;
inline constexpr int kBlocksFd = 5;
inline constexpr int kUserlandFd = 6;
inline constexpr int kTemplateFailed = 125;

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_DESCRIPTORS_H_
