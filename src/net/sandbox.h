#ifndef CORDON_NET_SANDBOX_H_
#define CORDON_NET_SANDBOX_H_

// What the gateway keeps for one sandbox, and what serves it: names, connections, datagrams.

#include <memory>

#include "net/askers.h"
#include "net/async.h"
#include "net/decision_log.h"
#include "net/namespace_setup.h"
#include "net/pins.h"
#include "net/resolver.h"
#include "net/route.h"

namespace cordon::net {

struct Sandbox {
  Sandbox(asio::io_context& event_loop, const GatewayConfig& configuration, OwnedFd log_file);

  asio::io_context& loop;
  const GatewayConfig config;
  const Rules rules;
  Pins pins;
  Resolver resolver;
  RouteFinder routes;
  DecisionLog log;
  Askers askers;
  size_t flows = 0;             // connections, those to the name server too
  size_t datagram_flows = 0;    //
  size_t waiting_bytes = 0;     // read from one side and not yet taken by the other
  size_t held_bytes = 0;        // of clients that have not said yet whom they ask for
  std::vector<uint8_t> buffer;  // for what is read and written without waiting in between
  OwnedFd reply_ipv4;
  OwnedFd reply_ipv6;
};

// name_service.cc: what a query is answered with; the names in it are pinned. `client` is the flow
// that it came with.
awaitable<DnsAnswer> AnswerQuery(Sandbox& sandbox, const Flow& client, DnsQuery query);
// The whole of it, as bytes for a datagram or, beyond its size, for a connection. Empty if there is
// nothing to be said.
awaitable<std::vector<uint8_t>> AnswerBytes(Sandbox& sandbox, const Flow& client,
                                            std::vector<uint8_t> query);
// A connection to port 53, whatever its address.
awaitable<void> ServeNames(Sandbox& sandbox, const Flow& flow, AsyncFd& client);

// connections.cc: as long as the listener is there.
awaitable<void> ServeConnections(Sandbox& sandbox, OwnedFd listener);
// datagrams.cc
awaitable<void> ServeDatagrams(Sandbox& sandbox, OwnedFd listener);

}  // namespace cordon::net

#endif  // CORDON_NET_SANDBOX_H_
