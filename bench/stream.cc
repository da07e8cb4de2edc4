// stream serve PORT | stream rate HOST PORT | stream connect HOST PORT: one TCP stream in Gbit/s,
// and the time from connect to the first byte in µs, the median of many. The server prints a line
// when it listens.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBlock = 256 << 10;
constexpr auto kRateTime = std::chrono::seconds(2);
constexpr int kConnections = 500;

sockaddr_in AddressOf(const char* host, const char* port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port)));  // NOLINT(bugprone-unchecked-*)
  (void)inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

void SendMuch(int connection) {
  const std::vector<char> block(kBlock);
  while (send(connection, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
  }
  (void)close(connection);
}

// One byte asks: 'r' for as much as can be, anything else for itself. That is answered at once:
// what a server does before is no matter of the way to it.
void Answer(int connection) {
  const int on = 1;
  (void)setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char byte = 0;
  const bool is_asked = recv(connection, &byte, 1, 0) == 1;
  if (is_asked && byte == 'r') {
    std::thread(SendMuch, connection).detach();
    return;
  }
  if (is_asked) (void)send(connection, &byte, 1, MSG_NOSIGNAL);
  (void)close(connection);
}

int Serve(const char* port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) return 1;
  const int on = 1;
  (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = AddressOf("0.0.0.0", port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 1024) != 0) {
    return 1;
  }
  (void)puts("listening");
  (void)fflush(stdout);
  for (;;) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection >= 0) Answer(connection);
  }
}

int Connect(const sockaddr_in& address) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0 ||
      connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    perror("connect");
    _exit(1);
  }
  return connection;
}

int MeasureRate(const sockaddr_in& address) {
  const int connection = Connect(address);
  std::vector<char> block(kBlock);
  (void)send(connection, "r", 1, MSG_NOSIGNAL);
  uint64_t bytes = 0;
  const Clock::time_point begin = Clock::now();
  while (Clock::now() < begin + kRateTime) {
    const ssize_t size = recv(connection, block.data(), block.size(), 0);
    if (size <= 0) return 1;
    bytes += static_cast<uint64_t>(size);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  (void)printf("%.2f\n", static_cast<double>(bytes) * 8 / 1e9 / seconds);
  return 0;
}

int MeasureConnect(const sockaddr_in& address) {
  std::vector<double> times;
  for (int i = 0; i < kConnections; ++i) {
    const Clock::time_point begin = Clock::now();
    const int connection = Connect(address);
    char byte = 'x';
    (void)send(connection, &byte, 1, MSG_NOSIGNAL);
    if (recv(connection, &byte, 1, 0) != 1) return 1;
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    (void)close(connection);
  }
  std::ranges::nth_element(times, times.begin() + kConnections / 2);
  (void)printf("%.1f\n", times[kConnections / 2]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return Serve(argv[2]);
  if (argc != 4) return 1;
  const sockaddr_in address = AddressOf(argv[2], argv[3]);
  return strcmp(argv[1], "rate") == 0 ? MeasureRate(address) : MeasureConnect(address);
}
