#ifndef CORDON_NET_PINS_H_
#define CORDON_NET_PINS_H_

// Which names our own answers gave to which addresses: a connection is judged by these and goes to
// that address, whatever the name means by then.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "net/address.h"

namespace cordon::net {

class Pins {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Programs keep an address for longer than they were told to.
  static constexpr std::chrono::seconds kLeast{600};

  explicit Pins(size_t limit) : limit_(limit) {}

  // One pair more than the limit, and the one that would be forgotten first is.
  void Pin(const Address& address, const std::string& name, std::chrono::seconds ttl, Time now);
  [[nodiscard]] std::vector<std::string> NamesOf(const Address& address, Time now) const;

 private:
  using Key = std::pair<Address, std::string>;
  std::map<Key, Time> until_;
  std::multimap<Time, Key> order_;
  size_t limit_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_PINS_H_
