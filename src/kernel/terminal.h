#ifndef CORDON_KERNEL_TERMINAL_H_
#define CORDON_KERNEL_TERMINAL_H_

// Terminals: a line discipline between a side that types (the client, through the keeper's rings,
// or the master of a pseudo-terminal) and the programs in front of it. All state is in the arena;
// any process may run the line discipline, under the terminal's lock.

#include <termios.h>

#include <atomic>
#include <cstdint>

#include "arena/lock.h"
#include "arena/wait.h"
#include "kernel/control.h"
#include "kernel/open_file.h"

namespace cordon::kernel {

// struct termios as Linux's TCGETS writes it.
struct TerminalSettings {
  uint32_t input, output, control, local;
  uint8_t line;
  uint8_t characters[19];
};
static_assert(sizeof(TerminalSettings) == 36);

struct WindowSize {
  uint16_t rows, columns, width, height;
};

// What a pseudo-terminal's master has not read yet.
struct OutputQueue {
  static constexpr uint32_t kBytes = 16384;
  uint32_t written = 0, taken = 0;  // run freely
  uint8_t data[kBytes] = {};
};

struct Terminal {
  static constexpr uint32_t kInputBytes = 4096;

  Mutex lock;  // everything below, unless it says otherwise
  WaitQueue input_changed;
  WaitQueue output_changed;
  std::atomic<uint32_t> references{1};
  uint32_t number = 0;
  // Of a client's terminal; null for a pseudo-terminal.
  control::Ring* keeper_input = nullptr;
  control::Ring* keeper_output = nullptr;
  OutputQueue* output = nullptr;  // of a pseudo-terminal
  // Under Kernel::table_lock. A process has a controlling terminal while its session is this one.
  std::atomic<uint32_t> session{0};
  std::atomic<uint32_t> foreground{0};  // group, 0 none
  std::atomic<bool> hung_up{false};
  std::atomic<uint32_t> programs{0};  // open descriptions of the program's side
  bool was_opened = false;
  bool locked = false;           // TIOCSPTLCK
  bool output_stopped = false;   // by the STOP character
  bool next_is_literal = false;  // after LNEXT
  TerminalSettings settings = {};
  WindowSize size = {};
  uint32_t column = 0;        // of the cursor, for erasing
  uint32_t start_column = 0;  // where the line that is edited begins
  // Input: [tail, lines) can be read as lines, [lines, head) is being edited. Counters run freely.
  uint32_t tail = 0, lines = 0, head = 0;
  uint64_t marks[kInputBytes / 64] = {};  // ends of lines; with a byte 0: end of file
  uint8_t data[kInputBytes] = {};
};

void CreateTerminals();
// A new terminal with /dev/pts/N, its one reference the caller's. Null when there are too many.
[[nodiscard]] Terminal* NewTerminal();
// By number, with a reference, or null.
[[nodiscard]] Terminal* TerminalByNumber(uint32_t number);
void Retain(Terminal* terminal);
void Release(Terminal* terminal);
// The terminal of the caller's session, or null.
[[nodiscard]] Terminal* ControllingTerminal();
// Makes it the terminal of the caller's session if that has none and the caller leads it.
int32_t TakeControl(Terminal& terminal);
// A process ends or starts a session of its own.
void LeaveTerminal(Process& process);
void HangUp(Terminal& terminal);
void Resize(Terminal& terminal, const WindowSize& size);
// Feeds what the clients typed to the line discipline and wakes who waits for room.
void ServeTerminals();
// The program's side. Takes over a reference.
[[nodiscard]] OpenFile* OpenTerminal(Terminal* terminal, uint32_t flags);
// The terminal of a description of the program's side, or null.
[[nodiscard]] Terminal* TerminalOf(const OpenFile& file);
int32_t TerminalControl(Terminal& terminal, uint32_t request, uint32_t argument);
// A new pair; the result is its master.
int32_t OpenMaster(uint32_t flags, OpenFile** out);

// --- line discipline, under `lock` ---
void SetDefaults(Terminal& terminal);
// A byte was typed.
void Receive(Terminal& terminal, uint8_t byte);
// There is room, or the byte would be dropped anyway.
[[nodiscard]] bool CanReceive(const Terminal& terminal);
// What a read would find; in raw mode what is there.
[[nodiscard]] uint32_t ReadableBytes(const Terminal& terminal);
[[nodiscard]] bool HasLine(const Terminal& terminal);
// Takes what one read gets, without end-of-file marks. True: there was something, if only an end of
// file.
bool TakeInput(Terminal& terminal, uint8_t* to, uint32_t size, uint32_t* count);
void ChangeSettings(Terminal& terminal, const TerminalSettings& settings);
void FlushInput(Terminal& terminal);
// Processes output and queues it: how many bytes of `from` were taken.
uint32_t Send(Terminal& terminal, const uint8_t* from, uint32_t size);
[[nodiscard]] uint32_t OutputRoom(const Terminal& terminal);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_TERMINAL_H_
