#include "backend/native/generated_files.h"

#include <algorithm>

#include "backend/native/fit.h"
#include "net/namespace_setup.h"

namespace cordon::backend::native {
namespace {

// What a field of /etc/passwd can hold; anything else would be another field, or another user.
std::string Field(const policy::Plan& plan, const char* variable, const char* otherwise) {
  const auto found =
      std::ranges::find(plan.environment, std::string(variable), &policy::Variable::name);
  if (found == plan.environment.end() || found->value.empty()) return otherwise;
  const bool is_plain = std::ranges::all_of(
      found->value, [](char letter) { return letter > ' ' && letter != ':' && letter != '\x7f'; });
  return is_plain ? found->value : otherwise;
}

}  // namespace

Result<std::string> GeneratedText(const std::string& name, const policy::Plan& plan,
                                  const Identity& identity) {
  const std::string user = Field(plan, "USER", "user");
  if (name == "users") {
    return user + ":x:" + std::to_string(identity.uid) + ":" + std::to_string(identity.gid) +
           "::" + Field(plan, "HOME", "/") + ":" + Field(plan, "SHELL", "/bin/sh") +
           "\nnobody:x:65534:65534:what is not the user's:/nonexistent:/usr/sbin/nologin\n";
  }
  if (name == "groups") {
    return user + ":x:" + std::to_string(identity.gid) + ":\nnogroup:x:65534:\n";
  }
  if (name == "hosts") return "127.0.0.1 localhost cordon\n::1 localhost cordon\n";
  if (name == "resolver") return HasGateway(plan) ? net::kResolverFile : "# no network\n";
  return Fail(ErrorCode::kInternal, "generated file '" + name + "'");
}

}  // namespace cordon::backend::native
