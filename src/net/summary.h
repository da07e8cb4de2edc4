#ifndef CORDON_NET_SUMMARY_H_
#define CORDON_NET_SUMMARY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace cordon::net {

// Which hosts were reached and which were refused, with how often.
struct Summary {
  // A hostile command asks for as many names as it likes.
  static constexpr size_t kMostHosts = 256;
  // A longer one is cut: a name whose bytes are spelt has a thousand letters, and all of it has to
  // go through a socket in one message, and a line of it to somebody's terminal.
  static constexpr size_t kLongestHost = 128;

  std::map<std::string, uint64_t> allowed;  // "registry.example:443"
  std::map<std::string, uint64_t> refused;  // the same, or a name alone that was not resolved
  std::map<std::string, std::string> by;    // who asked first for a refused one, where he is known
  uint64_t more = 0;                        // decisions about hosts beyond the first ones

  void Allow(const std::string& host);
  void Refuse(const std::string& host, const std::string& who = {});

  // "3 hosts allowed, 1 refused: evil.example by postinstall of left-pad"
  [[nodiscard]] std::string ToString() const;
  // As it goes from the gateway to who started it.
  [[nodiscard]] std::string Write() const;
  [[nodiscard]] static std::optional<Summary> Read(std::string_view text);

 private:
  void Count(std::map<std::string, uint64_t>* hosts, const std::string& host);
};

}  // namespace cordon::net

#endif  // CORDON_NET_SUMMARY_H_
