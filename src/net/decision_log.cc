#include "net/decision_log.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace cordon::net {
namespace {

using Json = nlohmann::ordered_json;

// A hostile command must not fill the disk with what is written about it.
constexpr uint64_t kMaxBytes = 64 << 20;
constexpr size_t kMaxNames = 8;

// Not by the C library's calendar: that opens the file of the time zone, which ends this process.
std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::milliseconds>(now - day));
  std::array<char, 40> text;
  (void)snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                 static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                 static_cast<int>(time.subseconds().count()));
  return text.data();
}

Json Begin(const char* event, const Verdict& verdict) {
  Json line;
  line["time"] = Now();
  line["event"] = event;
  line["verdict"] = verdict.action == Verdict::Action::kRefuse ? "refused" : "allowed";
  return line;
}

void End(Json* line, const Verdict& verdict, const std::string& failure) {
  if (!verdict.rule.empty()) (*line)["rule"] = verdict.rule;
  if (!verdict.reason.empty()) (*line)["reason"] = verdict.reason;
  if (!failure.empty()) (*line)["failure"] = failure;
}

std::string TextOf(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

const char* NameOf(uint16_t type) {
  switch (type) {
    case 1:
      return "A";
    case 28:
      return "AAAA";
    default:
      return nullptr;
  }
}

// What a person would call the other end.
std::string HostOf(const Flow& flow, const Verdict& verdict) {
  const std::vector<std::string>& names = verdict.names.empty() ? flow.names : verdict.names;
  if (names.empty()) return flow.destination.ToString();
  return names.front() + ":" + std::to_string(flow.destination.port);
}

}  // namespace

void DecisionLog::Write(const FlowRecord& record) {
  const bool is_refused = record.verdict.action == Verdict::Action::kRefuse;
  const std::string host = HostOf(record.flow, record.verdict);
  if (is_refused) {
    summary_.Refuse(host, record.by);
  } else {
    summary_.Allow(host);
  }
  if (!file_.valid()) return;
  Json line = Begin("flow", record.verdict);
  line["transport"] = record.flow.transport == Transport::kTcp ? "tcp" : "udp";
  line["source"] = record.flow.source.ToString();
  line["destination"] = record.flow.destination.ToString();
  Json names = Json::array();
  for (const std::string& name : record.flow.names) {
    if (names.size() == kMaxNames) break;
    names.push_back(name);
  }
  line["names"] = std::move(names);
  if (!record.by.empty()) line["by"] = record.by;
  End(&line, record.verdict, record.failure);
  if (!is_refused) {
    line["sent_bytes"] = record.sent_bytes;
    line["received_bytes"] = record.received_bytes;
    line["duration_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - record.begin)
                              .count();
  }
  WriteLine(TextOf(line));
}

void DecisionLog::Write(const LookupRecord& record) {
  if (record.verdict.action == Verdict::Action::kRefuse) {
    summary_.Refuse(record.name.empty() ? "." : record.name, record.by);
  }
  if (!file_.valid()) return;
  Json line = Begin("lookup", record.verdict);
  line["name"] = record.name;
  if (const char* type = NameOf(record.type)) {
    line["type"] = type;
  } else {
    line["type"] = record.type;
  }
  if (!record.by.empty()) line["by"] = record.by;
  End(&line, record.verdict, record.failure);
  Json answers = Json::array();
  for (const Address& address : record.answers) answers.push_back(address.ToString());
  line["answers"] = std::move(answers);
  if (!record.left_out.empty()) line["left_out"] = record.left_out;
  WriteLine(TextOf(line));
}

void DecisionLog::WriteLine(const std::string& line) {
  if (dropped_lines_ > 0 || written_bytes_ + line.size() > kMaxBytes) {
    ++dropped_lines_;
    return;
  }
  written_bytes_ += line.size();
  // Whole lines or nothing; a disk that is full is no reason to let anything through or not.
  if (write(file_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    ++dropped_lines_;
  }
}

void DecisionLog::Close() {
  if (!file_.valid() || dropped_lines_ == 0) return;
  Json line;
  line["time"] = Now();
  line["event"] = "dropped";
  line["lines"] = dropped_lines_;
  const std::string text = "\n" + TextOf(line);
  (void)!write(file_.get(), text.data(), text.size());
}

}  // namespace cordon::net
