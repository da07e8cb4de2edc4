#include "backend/wasm/template_entry.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "backend/wasm/filter.h"
#include "backend/wasm/lockdown.h"
#include "kernel/boot.h"

namespace {

using cordon::Status;

// The keeper prints the text. Whatever was the reason, this process does not go on.
[[noreturn]] void Refuse(cordon::control::Control& control, const std::string& reason) {
  auto& mailbox = control.mailbox;
  const size_t size = std::min(reason.size(), sizeof mailbox.payload);
  memcpy(mailbox.payload, reason.data(), size);
  mailbox.payload_bytes.store(static_cast<uint32_t>(size));
  control.failed.store(cordon::control::kFailBoot);
  _Exit(125);
}

void MustDo(cordon::control::Control& control, const char* step, const Status& status) {
  if (!status) Refuse(control, std::string(step) + ": " + status.error().ToString());
}

}  // namespace

namespace cordon::backend {

void RunTemplate() {
  cordon::control::Control* control = cordon::backend::MapControl();
  if (control == nullptr) _Exit(125);
  MustDo(*control, "preparing forks", cordon::backend::OfferListener(*control));
  MustDo(*control, "mapping the sandbox", cordon::backend::MapSandbox(*control));
  MustDo(*control, "dropping privileges", cordon::backend::DropPrivileges(*control));
  if (!cordon::kernel::PrepareBoot()) Refuse(*control, "reserving private memory: mmap failed");
  MustDo(*control, "loading the system call filter",
         cordon::backend::LoadFilter(cordon::backend::GuestRules(),
                                     control->can_fork != 0
                                         ? cordon::backend::ForkRules()
                                         : std::span<const cordon::backend::FilterRule>()));
  cordon::kernel::RunService();
}

}  // namespace cordon::backend
