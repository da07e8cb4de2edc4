#ifndef CORDON_BACKEND_WASM_TEMPLATE_ENTRY_H_
#define CORDON_BACKEND_WASM_TEMPLATE_ENTRY_H_

namespace cordon::backend {

// The ancestor of every guest process of a sandbox: executed with no arguments, no environment and
// no descriptors but those of TemplateFd, maps what guests share, locks itself in and becomes the
// service process.
[[noreturn]] void RunTemplate();

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_TEMPLATE_ENTRY_H_
