#ifndef CORDON_LIVE_HOST_FRAME_H_
#define CORDON_LIVE_HOST_FRAME_H_

// What a command that the host serves and the keeper say to each other, in the two rings of its
// channel: frames of a type, a length and so many bytes, in the machine's order. Inside speaks
// guest/programs/host-command.c, or any other program that has opened the channel: what comes from
// there is read as hostile.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon::live {

enum class GuestSays : uint32_t {
  kCall = 1,  // the first frame and no other: u32 counts of arguments and variables; name,
              // directory, arguments and variables, each ends with a zero
  kInput,     // standard input, as much as was wanted at most
  kInputEnd,  // instead of it: there is no more
};
enum class HostSays : uint32_t {
  kWant = 1,  // u32 bytes of standard input; answered by one kInput or kInputEnd
  kOutput,    // for standard output
  kError,     // for standard error
  kExit,      // u32 status. The last frame.
};

struct HostFrame {
  GuestSays type = GuestSays::kCall;
  std::string payload;
};

inline constexpr uint32_t kMaxHostCallBytes = 1 << 20;  // of a kCall
inline constexpr uint32_t kMaxHostInput = 128 * 1024;   // of a kInput
inline constexpr uint32_t kMaxHostOutput = 64 * 1024;   // of what we send in one frame

[[nodiscard]] std::string EncodeHostFrame(HostSays type, std::string_view payload);
[[nodiscard]] std::string EncodeHostFrame(HostSays type, uint32_t number);

// Takes frames out of what arrived, and keeps to the order that they have.
class HostFrameReader {
 public:
  // One frame of input is welcome.
  void Want(uint32_t bytes) { wanted_ = bytes; }
  void Add(std::string_view bytes) { bytes_.append(bytes); }
  // Nothing: more bytes are needed. An error, ever after: the other side breaks the rules.
  [[nodiscard]] Result<std::optional<HostFrame>> Next();

 private:
  // What is wrong with such a frame; null: nothing.
  [[nodiscard]] const char* Objection(GuestSays type, uint32_t bytes) const;

  std::string bytes_;
  uint32_t wanted_ = 0;
  bool is_called_ = false;
  const char* broken_ = nullptr;
};

// What a command was called with.
struct HostCallStart {
  std::string name;
  std::string directory;
  std::vector<std::string> arguments;  // without the name
  std::vector<std::string> variables;  // NAME=VALUE
};
// Nothing: the payload is no kCall.
[[nodiscard]] std::optional<HostCallStart> ParseHostCall(std::string_view payload);

// Of a command, as a user types it: letters, digits, `_`, `-`, `.` and `+`, a letter or digit
// first, at most 64.
[[nodiscard]] bool IsCommandName(std::string_view name);

}  // namespace cordon::live

#endif  // CORDON_LIVE_HOST_FRAME_H_
