#ifndef CORDON_NET_DECISION_LOG_H_
#define CORDON_NET_DECISION_LOG_H_

// Every decision as a line of JSON, and what they come to in the end.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "net/rules.h"
#include "net/summary.h"

namespace cordon::net {

struct FlowRecord {
  Flow flow;
  Verdict verdict;
  std::string failure;  // why an allowed one did not come about or ended early
  std::string by;       // who asked for a refused one, by his own word; empty if nobody knows
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  std::chrono::steady_clock::time_point begin;
};

struct LookupRecord {
  std::string name;
  uint16_t type = 0;
  Verdict verdict;
  std::vector<Address> answers;
  std::vector<std::string> left_out;  // addresses that it may not have, and why
  std::string failure;
  std::string by;  // as of a flow
};

class DecisionLog {
 public:
  // Without a valid descriptor only the summary is kept.
  explicit DecisionLog(OwnedFd file) : file_(std::move(file)) {}

  void Write(const FlowRecord& record);
  void Write(const LookupRecord& record);
  [[nodiscard]] const Summary& summary() const { return summary_; }
  // Says how much is missing, if anything is.
  void Close();

 private:
  void WriteLine(const std::string& line);

  OwnedFd file_;
  Summary summary_;
  uint64_t written_bytes_ = 0;
  uint64_t dropped_lines_ = 0;
};

}  // namespace cordon::net

#endif  // CORDON_NET_DECISION_LOG_H_
