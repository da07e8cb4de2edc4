#include "net/resolver.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace cordon::net {
namespace {

constexpr auto kAnswerTime = std::chrono::seconds(2);
constexpr int kRounds = 2;
constexpr size_t kMaxInFlight = 64;
constexpr size_t kMaxRemembered = 1024;
constexpr uint32_t kLongest = 300;
constexpr uint32_t kNegative = 2;
constexpr uint32_t kOfHosts = 60;

// Answers are guessed by who cannot see the question: the port is the kernel's choice, and this.
uint16_t RandomNumber() {
  uint16_t number = 0;
  (void)!getrandom(&number, sizeof number, 0);
  return number;
}

OwnedFd OpenTo(const Endpoint& server, int type) {
  OwnedFd fd(socket(server.address.is_ipv4() ? AF_INET : AF_INET6,
                    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr(server, &storage);
  if (fd.valid() && connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 &&
      errno != EINPROGRESS) {
    fd.reset();
  }
  return fd;
}

// All of `bytes`, until it is there or the descriptor's waits are cancelled.
awaitable<bool> ReadAll(AsyncFd& fd, std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (size > 0) {
      bytes = bytes.subspan(static_cast<size_t>(size));
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR) || !co_await fd.Readable()) {
      co_return false;
    }
  }
  co_return true;
}

}  // namespace

Resolver::Resolver(asio::io_context& loop, const GatewayConfig& config)
    : loop_(loop),
      servers_(config.resolvers),
      hosts_(config.hosts),
      lookups_per_second_(config.lookups_per_second),
      turns_(static_cast<double>(config.lookups_per_second)) {}

std::vector<Address> Resolver::FindHost(const Question& question) const {
  std::vector<Address> addresses;
  for (const auto& [name, address] : hosts_) {
    if (name == question.first && address.is_ipv4() == (question.second == DnsType::kA)) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

// As many as a second's lookups at once, and so many a second.
bool Resolver::TakeTurn() {
  const Clock::time_point now = Clock::now();
  const double rate = static_cast<double>(lookups_per_second_);
  turns_ = std::min(rate, turns_ + rate * std::chrono::duration<double>(now - turns_at_).count());
  turns_at_ = now;
  if (turns_ < 1) return false;
  turns_ -= 1;
  return true;
}

awaitable<Resolved> Resolver::Resolve(std::string name, DnsType type) {
  const Question question = {std::move(name), type};
  const bool is_known =
      std::ranges::any_of(hosts_, [&](const auto& host) { return host.first == question.first; });
  if (is_known) co_return Resolved{DnsCode::kNoError, FindHost(question), kOfHosts, false, {}};
  if (const auto found = remembered_.find(question);
      found != remembered_.end() && found->second.until > Clock::now()) {
    co_return found->second.answer;
  }
  // Many processes that start at once ask for the same name.
  if (const auto found = asking_.find(question); found != asking_.end()) {
    const std::shared_ptr<Asking> asking = found->second;
    co_await asking->end.Wait();
    co_return asking->answer;
  }
  if (asking_.size() >= kMaxInFlight || !TakeTurn()) {
    co_return Resolved{DnsCode::kServerFailure, {}, 0, true, "too many lookups"};
  }
  const auto asking = std::make_shared<Asking>(Event(loop_), Resolved());
  asking_.emplace(question, asking);
  Resolved answer = co_await Ask(question);
  Remember(question, answer);
  asking->answer = answer;
  asking->answer.is_fresh = false;
  asking_.erase(question);
  asking->end.Happen();
  answer.is_fresh = true;
  co_return answer;
}

awaitable<Resolved> Resolver::Ask(Question question) {
  Resolved resolved;
  resolved.failure = "no name server answered";
  for (int round = 0; round < kRounds; ++round) {
    for (const Endpoint& server : servers_) {
      auto response = co_await AskServer(server, question);
      if (response && response->is_truncated) {
        response = co_await AskByConnection(server, question);
      }
      if (!response) continue;
      if (response->code != DnsCode::kNoError && response->code != DnsCode::kNoSuchName) {
        resolved.failure = "the name server " + server.address.ToString() + " answered with code " +
                           std::to_string(static_cast<int>(response->code));
        continue;
      }
      co_return Resolved{
          response->code, std::move(response->addresses), response->ttl_seconds, true, {}};
    }
  }
  co_return resolved;
}

awaitable<std::optional<DnsResponse>> Resolver::AskServer(Endpoint server, Question question) {
  OwnedFd opened = OpenTo(server, SOCK_DGRAM);
  if (!opened.valid()) co_return std::nullopt;
  AsyncFd fd(loop_, std::move(opened));
  const uint16_t id = RandomNumber();
  const auto bytes = WriteDnsQuestion(id, question.first, question.second);
  if (send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) co_return std::nullopt;
  const Deadline deadline(loop_, fd, kAnswerTime);
  std::array<uint8_t, 4096> buffer;
  while (co_await fd.Readable()) {
    const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno != EAGAIN && errno != EINTR) co_return std::nullopt;
    if (size <= 0) continue;
    // What does not fit the question is not from the server.
    const auto response = ParseDnsResponse(std::span(buffer).first(static_cast<size_t>(size)), id,
                                           question.first, question.second);
    if (response) co_return response;
  }
  co_return std::nullopt;
}

awaitable<std::optional<DnsResponse>> Resolver::AskByConnection(Endpoint server,
                                                                Question question) {
  OwnedFd opened = OpenTo(server, SOCK_STREAM);
  if (!opened.valid()) co_return std::nullopt;
  AsyncFd fd(loop_, std::move(opened));
  const Deadline deadline(loop_, fd, kAnswerTime);
  if (!co_await fd.Writable()) co_return std::nullopt;
  const uint16_t id = RandomNumber();
  const auto question_bytes = WriteDnsQuestion(id, question.first, question.second);
  std::vector<uint8_t> bytes = {static_cast<uint8_t>(question_bytes.size() >> 8U),
                                static_cast<uint8_t>(question_bytes.size())};
  bytes.insert(bytes.end(), question_bytes.begin(), question_bytes.end());
  if (send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    co_return std::nullopt;
  }
  std::array<uint8_t, 2> size{};
  if (!co_await ReadAll(fd, size)) co_return std::nullopt;
  std::vector<uint8_t> answer((static_cast<size_t>(size[0]) << 8U) | size[1]);
  if (!co_await ReadAll(fd, answer)) co_return std::nullopt;
  co_return ParseDnsResponse(answer, id, question.first, question.second);
}

void Resolver::Remember(const Question& question, const Resolved& answer) {
  uint32_t seconds = std::min(answer.ttl_seconds, kLongest);
  if (answer.addresses.empty()) seconds = kNegative;
  if (seconds == 0) return;
  if (remembered_.size() >= kMaxRemembered) {
    const Clock::time_point now = Clock::now();
    std::erase_if(remembered_, [&](const auto& row) { return row.second.until <= now; });
    if (remembered_.size() >= kMaxRemembered) remembered_.erase(remembered_.begin());
  }
  Remembered& row = remembered_[question];
  row = {answer, Clock::now() + std::chrono::seconds(seconds)};
  row.answer.is_fresh = false;
  row.answer.ttl_seconds = seconds;
}

}  // namespace cordon::net
