#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "net/sandbox.h"

namespace cordon::net {
namespace {

constexpr uint32_t kLongestAnswer = 300;
constexpr auto kIdleTime = std::chrono::seconds(10);
constexpr size_t kMaxAddresses = 32;

bool IsLocalhost(const std::string& name) {
  return name == "localhost" || name.ends_with(".localhost");
}

DnsAnswer Localhost(DnsType type) {
  // RFC 6761: these are not asked for.
  if (type == DnsType::kA) return {DnsCode::kNoError, {Address::Ipv4({127, 0, 0, 1})}, 60, {}};
  if (type == DnsType::kAaaa) return {DnsCode::kNoError, {*ParseAddress("::1")}, 60, {}};
  return {};
}

// Takes out what the name may not have, and what there is no way to. False if something was
// refused.
void SiftAddresses(Sandbox& sandbox, LookupRecord* record, const std::vector<Address>& found) {
  for (const Address& address : found) {
    if (record->answers.size() == kMaxAddresses) break;
    const auto whose = sandbox.routes.Find(address);
    const Verdict verdict =
        sandbox.rules.JudgePin(record->name, address, whose.value_or(Whose::kOther));
    if (verdict.action == Verdict::Action::kRefuse) {
      record->left_out.push_back(verdict.reason);
    } else if (whose) {
      record->answers.push_back(address);
    }
  }
  if (record->answers.empty() && !record->left_out.empty()) {
    record->verdict = {Verdict::Action::kRefuse, record->verdict.rule, record->left_out[0], {}};
    record->left_out.clear();
  }
}

awaitable<DnsAnswer> Refuse(Sandbox& sandbox, const Flow& client, LookupRecord record,
                            DnsCode code) {
  record.by = co_await sandbox.askers.Find(client);
  sandbox.log.Write(record);
  co_return DnsAnswer{code, {}, 0, record.verdict.reason};
}

awaitable<DnsAnswer> AnswerAddresses(Sandbox& sandbox, const Flow& client, LookupRecord record,
                                     DnsType type) {
  Resolved resolved = co_await sandbox.resolver.Resolve(record.name, type);
  record.failure = resolved.failure;
  SiftAddresses(sandbox, &record, resolved.addresses);
  if (record.verdict.action == Verdict::Action::kRefuse) {
    co_return co_await Refuse(sandbox, client, std::move(record), DnsCode::kNoSuchName);
  }
  if (resolved.is_fresh) sandbox.log.Write(record);
  DnsAnswer answer;
  answer.code = resolved.code;
  answer.addresses = std::move(record.answers);
  answer.ttl_seconds = std::min(resolved.ttl_seconds, kLongestAnswer);
  for (const Address& address : answer.addresses) {
    sandbox.pins.Pin(address, record.name, std::chrono::seconds(resolved.ttl_seconds),
                     Clock::now());
  }
  co_return answer;
}

}  // namespace

awaitable<DnsAnswer> AnswerQuery(Sandbox& sandbox, const Flow& client, DnsQuery query) {
  if (IsLocalhost(query.name)) co_return Localhost(query.type);
  // Whose an address is is nobody's business here; programs that ask go on without an answer.
  if (query.type == DnsType::kPtr) co_return DnsAnswer{DnsCode::kNoSuchName, {}, 0, {}};
  LookupRecord record;
  record.name = query.name;
  record.type = static_cast<uint16_t>(query.type);
  record.verdict = sandbox.rules.JudgeName(query.name);
  // A name that could not stand in a rule is not sent to a server either.
  if (CanonicalHostName(query.name) != query.name || query.name.empty()) {
    record.verdict = {Verdict::Action::kRefuse, {}, "no host name", {}};
  }
  if (record.verdict.action == Verdict::Action::kRefuse) {
    co_return co_await Refuse(sandbox, client, std::move(record), DnsCode::kNoSuchName);
  }
  if (query.type == DnsType::kA || query.type == DnsType::kAaaa) {
    co_return co_await AnswerAddresses(sandbox, client, std::move(record), query.type);
  }
  // Asked for before every address by newer clients; without it they take the address, and have no
  // key to hide the name with that they ask the server for.
  if (query.type == DnsType::kHttps || query.type == DnsType::kSvcb) co_return DnsAnswer{};
  record.verdict = {Verdict::Action::kRefuse, {}, "only addresses are looked up", {}};
  co_return co_await Refuse(sandbox, client, std::move(record), DnsCode::kRefused);
}

awaitable<std::vector<uint8_t>> AnswerBytes(Sandbox& sandbox, const Flow& client,
                                            std::vector<uint8_t> query) {
  const auto parsed = ParseDnsQuery(query);
  if (!parsed) co_return WriteDnsFormatError(query);
  const DnsAnswer answer = co_await AnswerQuery(sandbox, client, *parsed);
  const size_t limit = client.transport == Transport::kUdp ? parsed->answer_size : 65535;
  co_return WriteDnsAnswer(*parsed, answer, limit);
}

awaitable<void> ServeNames(Sandbox& sandbox, const Flow& flow, AsyncFd& client) {
  std::vector<uint8_t> input;
  std::array<uint8_t, 2048> part;
  for (;;) {
    const Deadline deadline(sandbox.loop, client, kIdleTime);
    size_t wanted = 2;
    while (input.size() < wanted) {
      const ssize_t size = recv(client.get(), part.data(), part.size(), 0);
      if (size > 0) {
        input.insert(input.end(), part.begin(), part.begin() + size);
      } else if (size == 0 || (errno != EAGAIN && errno != EINTR) || !co_await client.Readable()) {
        co_return;
      }
      if (input.size() >= 2) wanted = 2 + ((static_cast<size_t>(input[0]) << 8U) | input[1]);
    }
    const auto end = input.begin() + static_cast<std::ptrdiff_t>(wanted);
    std::vector<uint8_t> query(input.begin() + 2, end);
    input.erase(input.begin(), end);
    const std::vector<uint8_t> answer = co_await AnswerBytes(sandbox, flow, std::move(query));
    std::vector<uint8_t> output = {static_cast<uint8_t>(answer.size() >> 8U),
                                   static_cast<uint8_t>(answer.size())};
    output.insert(output.end(), answer.begin(), answer.end());
    // Who does not read what he asked for does not get it.
    if (answer.empty() || send(client.get(), output.data(), output.size(), MSG_NOSIGNAL) !=
                              static_cast<ssize_t>(output.size())) {
      co_return;
    }
  }
}

}  // namespace cordon::net
