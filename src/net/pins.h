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

  // Of one address: a domain may have as many names as somebody asks for, and each flow carries
  // those of its destination.
  static constexpr size_t kMostNames = 64;

  explicit Pins(size_t limit) : limit_(limit) {}

  // One pair more than the limit, or one name more of the address, and the one that would be
  // forgotten first is.
  void Pin(const Address& address, const std::string& name, std::chrono::seconds ttl, Time now);
  [[nodiscard]] std::vector<std::string> NamesOf(const Address& address, Time now) const;

 private:
  using Key = std::pair<Address, std::string>;
  using Entry = std::map<Key, Time>::iterator;

  void Unorder(Entry entry);
  void ForgetOneOf(const Address& address);

  std::map<Key, Time> until_;
  std::multimap<Time, Key> order_;
  size_t limit_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_PINS_H_
