#ifndef CORDON_CLIENT_ANSWERS_H_
#define CORDON_CLIENT_ANSWERS_H_

// What a daemon says, as results.

#include <string>
#include <string_view>

#include "base/error.h"
#include "cordon/results.h"
#include "rpc/message.h"

namespace cordon::client {

using rpc::Json;

// What the member `error` of an answer says.
[[nodiscard]] Error RefusalOf(const Json& error);
[[nodiscard]] CommandUsage UsageOf(const Json& json);
[[nodiscard]] CommandResult ResultOf(const Json& json);
[[nodiscard]] TransferReport ReportOf(const Json& json);
// A member that is bytes or text.
[[nodiscard]] std::string TextOf(const Json& object, const char* name);
[[nodiscard]] Json BytesOf(std::string_view bytes);
// A snapshot's name, which is text or a number.
[[nodiscard]] std::string SnapshotOf(const Json& object);

}  // namespace cordon::client

#endif  // CORDON_CLIENT_ANSWERS_H_
