#ifndef CORDON_NET_RESOLVER_H_
#define CORDON_NET_RESOLVER_H_

// Asks the host's own name servers.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/async.h"
#include "net/dns_message.h"
#include "net/gateway_config.h"

namespace cordon::net {

struct Resolved {
  DnsCode code = DnsCode::kServerFailure;
  std::vector<Address> addresses;
  uint32_t ttl_seconds = 0;
  bool is_fresh = false;  // asked for just now
  std::string failure;    // why there is no answer
};

class Resolver {
 public:
  Resolver(asio::io_context& loop, const GatewayConfig& config);

  // `type` is kA or kAaaa.
  awaitable<Resolved> Resolve(std::string name, DnsType type);

 private:
  using Question = std::pair<std::string, DnsType>;
  struct Remembered {
    Resolved answer;
    Clock::time_point until;
  };
  struct Asking {
    Event end;
    Resolved answer;
  };

  [[nodiscard]] std::vector<Address> FindHost(const Question& question) const;
  [[nodiscard]] bool TakeTurn();
  awaitable<Resolved> Ask(Question question);
  awaitable<std::optional<DnsResponse>> AskServer(Endpoint server, Question question);
  awaitable<std::optional<DnsResponse>> AskByConnection(Endpoint server, Question question);
  void Remember(const Question& question, const Resolved& answer);

  asio::io_context& loop_;
  const std::vector<Endpoint> servers_;
  const std::vector<std::pair<std::string, Address>> hosts_;
  std::map<Question, Remembered> remembered_;
  std::map<Question, std::shared_ptr<Asking>> asking_;
  const size_t lookups_per_second_;
  double turns_;
  Clock::time_point turns_at_ = Clock::now();
};

}  // namespace cordon::net

#endif  // CORDON_NET_RESOLVER_H_
