#ifndef CORDON_CLIENT_ARCHIVE_H_
#define CORDON_CLIENT_ARCHIVE_H_

// Archives on their way, as sealed files in memory.

#include <memory>
#include <string>

#include "client/ask.h"

namespace cordon::client {

// What `report` names, which is freed whatever happens.
[[nodiscard]] Result<TransferReport> TakeArchive(const std::shared_ptr<Connection>& connection,
                                                 const std::string& id, const Json& report,
                                                 const Sink& sink);
// Its number.
[[nodiscard]] Result<Json> GiveArchive(const std::shared_ptr<Connection>& connection,
                                       const std::string& id, const Source& source);

}  // namespace cordon::client

#endif  // CORDON_CLIENT_ARCHIVE_H_
