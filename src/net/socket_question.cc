#include "net/socket_question.h"

#include <charconv>
#include <cstring>

namespace cordon::net {
namespace {

constexpr std::string_view kWho = "who ";
constexpr std::string_view kBy = "by ";
constexpr size_t kLongestName = 80;

template <typename Number>
bool TakeNumber(std::string_view* text, Number* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  if (text->starts_with(' ')) text->remove_prefix(1);
  return true;
}

bool TakeWord(std::string_view* text, std::string_view word) {
  if (!text->starts_with(word)) return false;
  text->remove_prefix(word.size());
  return true;
}

}  // namespace

std::string SocketQuestion::Write() const {
  return std::string(kWho) + std::to_string(number) + (is_tcp ? " tcp " : " udp ") +
         (is_ipv4 ? "4 " : "6 ") + std::to_string(source_port) + " " +
         std::to_string(destination_port);
}

std::optional<SocketQuestion> SocketQuestion::Read(std::string_view text) {
  SocketQuestion question;
  if (!TakeWord(&text, kWho) || !TakeNumber(&text, &question.number)) return std::nullopt;
  question.is_tcp = TakeWord(&text, "tcp ");
  if (!question.is_tcp && !TakeWord(&text, "udp ")) return std::nullopt;
  question.is_ipv4 = TakeWord(&text, "4 ");
  if (!question.is_ipv4 && !TakeWord(&text, "6 ")) return std::nullopt;
  const bool is_whole = TakeNumber(&text, &question.source_port) &&
                        TakeNumber(&text, &question.destination_port) && text.empty();
  return is_whole ? std::optional(question) : std::nullopt;
}

std::string SocketAnswer::Write() const {
  return std::string(kBy) + std::to_string(number) + " " + who;
}

std::optional<SocketAnswer> SocketAnswer::Read(std::string_view text) {
  SocketAnswer answer;
  if (!TakeWord(&text, kBy) || !TakeNumber(&text, &answer.number)) return std::nullopt;
  answer.who = PlainName(text);
  return answer;
}

std::string PlainName(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@/._+- ";
  std::string plain;
  for (const char letter : text.substr(0, kLongestName)) {
    plain += kPlain.find(letter) == std::string_view::npos ? '?' : letter;
  }
  return plain;
}

}  // namespace cordon::net
