#ifndef CORDON_NET_ROUTE_H_
#define CORDON_NET_ROUTE_H_

#include <optional>

#include "net/address.h"
#include "net/rules.h"

namespace cordon::net {

// Whose an address is, as the kernel would send to it now; none if it has no way there.
[[nodiscard]] std::optional<Whose> FindRoute(const Address& address);

}  // namespace cordon::net

#endif  // CORDON_NET_ROUTE_H_
