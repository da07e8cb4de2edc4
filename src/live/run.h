#ifndef CORDON_LIVE_RUN_H_
#define CORDON_LIVE_RUN_H_

// A run and the session as the keeper knows them.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "live/frame.h"
#include "live/shell.h"
#include "live/stream.h"

namespace cordon::live {

using Clock = std::chrono::steady_clock;

// What a client asked for, waiting or going on.
struct Run {
  Frame request;
  bool in_session = false;
  bool is_recorded = false;  // in the history
  uint32_t number = 0;       // that its processes bear
  uint32_t job = 0;          // whose rings are its streams
  Clock::time_point started;
  Clock::time_point deadline = Clock::time_point::max();
  std::unique_ptr<InputStream> input;
  std::unique_ptr<OutputStream> output[2];
  std::vector<std::string> early_input;  // came before it began

  // How it is brought to an end, step by step.
  EndClass end_class = EndClass::kNone;
  int interrupts = 0;
  int shells = 0;  // that ended before they began it
  Clock::time_point next_interrupt = Clock::time_point::max();
  Clock::time_point patience = Clock::time_point::max();  // with those that were killed

  bool was_denied = false;  // a program that the policy forbids
  uint32_t limits_met = 0;  // bits of control::Limit

  // It has ended; what is in its rings still goes to the client.
  bool ended = false;
  int exit_code = 0;
  int signal = 0;
};

// A shell that waits for input for so long without a prompt has lost it.
inline constexpr std::chrono::milliseconds kPromptPatience{50};

// The shell that runs have in common.
struct Session {
  bool alive = false;
  // It is a copy: before the next command, and not later than then, its $RANDOM becomes another
  // one.
  std::optional<Clock::time_point> seed_by;
  bool is_settling = false;  // after an interrupt, before it is certain that no other comes
  bool is_replaced = false;  // it was killed; another one takes its place
  uint32_t number = 0;       // of what it ran last
  std::unique_ptr<OutputStream> output, prompts;
  PromptReader reader;
  Run* current = nullptr;
  // For a prompt that does not come.
  Clock::time_point next_look;
  std::chrono::milliseconds look_period = kPromptPatience;
  bool looks = false;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_RUN_H_
