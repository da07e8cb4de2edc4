// What a terminal makes of the bytes that are typed and of those that programs write, as termios(3)
// describes it. Everything here runs under the terminal's lock.

#include <algorithm>
#include <csignal>
#include <cstring>

#include "arena/platform.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

constexpr uint8_t kDelete = 0x7f;
constexpr uint32_t kTab = 8;

bool Has(uint32_t flags, uint32_t flag) {
  return (flags & flag) != 0;
}
bool Local(const Terminal& terminal, uint32_t flag) {
  return Has(terminal.settings.local, flag);
}
// A character of 0 is switched off.
bool Is(const Terminal& terminal, uint32_t which, uint8_t byte) {
  return byte != 0 && terminal.settings.characters[which] == byte;
}
bool IsControl(uint8_t byte) {
  return byte < 32 || byte == kDelete;
}
bool IsContinuation(uint8_t byte) {
  return (byte & 0xc0) == 0x80;
}

uint8_t& ByteAt(Terminal& terminal, uint32_t position) {
  return terminal.data[position % Terminal::kInputBytes];
}
bool IsMarked(const Terminal& terminal, uint32_t position) {
  const uint32_t at = position % Terminal::kInputBytes;
  return (terminal.marks[at / 64] >> (at % 64) & 1) != 0;
}
void SetMark(Terminal& terminal, uint32_t position, bool marked) {
  const uint32_t at = position % Terminal::kInputBytes;
  const uint64_t bit = uint64_t{1} << (at % 64);
  terminal.marks[at / 64] = marked ? terminal.marks[at / 64] | bit : terminal.marks[at / 64] & ~bit;
}

void PutOutput(Terminal& terminal, const uint8_t* bytes, uint32_t size) {
  if (control::Ring* ring = terminal.keeper_output) {
    const uint32_t at = ring->written.load();
    const uint32_t first = std::min(size, control::kRingBytes - at % control::kRingBytes);
    memcpy(ring->data + at % control::kRingBytes, bytes, first);
    memcpy(ring->data, bytes + first, size - first);
    ring->written.store(at + size);
    WakeKeeper(ring->reader_wants, ring->written);
    return;
  }
  OutputQueue& queue = *terminal.output;
  for (uint32_t i = 0; i < size; ++i) {
    queue.data[queue.written++ % OutputQueue::kBytes] = bytes[i];
  }
  terminal.output_changed.WakeAll();
}

// Appends what one byte becomes: at most 8.
uint32_t Convert(Terminal& terminal, uint8_t byte, uint8_t* out) {
  const uint32_t flags = terminal.settings.output;
  if (!Has(flags, OPOST)) {
    out[0] = byte;
    return 1;
  }
  if (byte == '\n' && Has(flags, ONLCR)) {
    terminal.column = 0;
    out[0] = '\r';
    out[1] = '\n';
    return 2;
  }
  if (byte == '\r' && Has(flags, OCRNL)) byte = '\n';
  if (byte == '\r' && Has(flags, ONOCR) && terminal.column == 0) return 0;
  if (byte == '\t') {
    const uint32_t width = kTab - terminal.column % kTab;
    terminal.column += width;
    if ((flags & TABDLY) == TAB3) {
      memset(out, ' ', width);
      return width;
    }
  } else if (byte == '\r' || (byte == '\n' && Has(flags, ONLRET))) {
    terminal.column = 0;
  } else if (byte == '\b') {
    if (terminal.column > 0) --terminal.column;
  } else if (!IsControl(byte) && !IsContinuation(byte)) {
    ++terminal.column;
  }
  out[0] = byte;
  return 1;
}

// Echo goes out as far as there is room: whoever types must not wait for whoever reads.
void Echo(Terminal& terminal, const char* text, uint32_t size) {
  for (uint32_t i = 0; i < size; ++i) {
    uint8_t out[8];
    if (OutputRoom(terminal) < sizeof out) return;
    PutOutput(terminal, out, Convert(terminal, static_cast<uint8_t>(text[i]), out));
  }
}

void EchoByte(Terminal& terminal, uint8_t byte) {
  if (Local(terminal, ECHOCTL) && IsControl(byte) && byte != '\t' && byte != '\n') {
    const char text[2] = {'^', static_cast<char>(byte ^ 0x40)};
    Echo(terminal, text, 2);
    return;
  }
  const auto text = static_cast<char>(byte);
  Echo(terminal, &text, 1);
}

uint32_t WidthOf(const Terminal& terminal, uint8_t byte, uint32_t column) {
  if (byte == '\t') return kTab - column % kTab;
  if (IsControl(byte)) return Local(terminal, ECHOCTL) ? 2 : 0;
  return Has(terminal.settings.input, IUTF8) && IsContinuation(byte) ? 0 : 1;
}

// Takes the last character of the line being edited, and from the screen.
void EraseCharacter(Terminal& terminal) {
  if (terminal.head == terminal.lines) return;
  uint8_t byte = 0;
  do {
    byte = ByteAt(terminal, --terminal.head);
  } while (Has(terminal.settings.input, IUTF8) && IsContinuation(byte) &&
           terminal.head != terminal.lines);
  if (!Local(terminal, ECHO)) return;
  if (!Local(terminal, ECHOE)) {
    EchoByte(terminal, terminal.settings.characters[VERASE]);
    return;
  }
  uint32_t column = terminal.start_column;
  for (uint32_t at = terminal.lines; at != terminal.head; ++at) {
    column += WidthOf(terminal, ByteAt(terminal, at), column);
  }
  for (uint32_t width = WidthOf(terminal, byte, column); width > 0; --width) {
    if (byte == '\t') {
      Echo(terminal, "\b", 1);
    } else {
      Echo(terminal, "\b \b", 3);
    }
  }
}

bool IsWordByte(uint8_t byte) {
  return byte == '_' || (byte | 0x20) - 'a' < 26u || byte - '0' < 10u || byte >= 0x80;
}

void EraseWord(Terminal& terminal) {
  bool in_word = false;
  while (terminal.head != terminal.lines) {
    const bool word = IsWordByte(ByteAt(terminal, terminal.head - 1));
    if (in_word && !word) return;
    in_word = in_word || word;
    EraseCharacter(terminal);
  }
}

void EraseLine(Terminal& terminal) {
  if (Local(terminal, ECHO) && !Local(terminal, ECHOKE)) {
    terminal.head = terminal.lines;
    EchoByte(terminal, terminal.settings.characters[VKILL]);
    if (Local(terminal, ECHOK)) Echo(terminal, "\n", 1);
    return;
  }
  while (terminal.head != terminal.lines) EraseCharacter(terminal);
}

void Reprint(Terminal& terminal) {
  EchoByte(terminal, terminal.settings.characters[VREPRINT]);
  Echo(terminal, "\n", 1);
  for (uint32_t at = terminal.lines; at != terminal.head; ++at) {
    EchoByte(terminal, ByteAt(terminal, at));
  }
}

void Append(Terminal& terminal, uint8_t byte, bool mark) {
  ByteAt(terminal, terminal.head) = byte;
  SetMark(terminal, terminal.head, mark);
  ++terminal.head;
}

void FinishLine(Terminal& terminal) {
  terminal.lines = terminal.head;
  terminal.start_column = terminal.column;
  terminal.input_changed.WakeAll();
}

// True: the byte was a signal character.
bool ReceiveSignal(Terminal& terminal, uint8_t byte) {
  const int number = Is(terminal, VINTR, byte)   ? SIGINT
                     : Is(terminal, VQUIT, byte) ? SIGQUIT
                     : Is(terminal, VSUSP, byte) ? SIGTSTP
                                                 : 0;
  if (number == 0) return false;
  if (!Local(terminal, NOFLSH)) {
    FlushInput(terminal);
    if (terminal.output != nullptr) terminal.output->taken = terminal.output->written;
  }
  terminal.output_stopped = false;
  if (Local(terminal, ECHO)) EchoByte(terminal, byte);
  terminal.start_column = terminal.column;
  terminal.output_changed.WakeAll();
  const uint32_t group = terminal.foreground.load();
  if (group != 0) PostToGroup(group, static_cast<uint32_t>(number));
  return true;
}

// True: the byte edited the line or was dropped.
bool EditLine(Terminal& terminal, uint8_t byte) {
  const bool extended = Local(terminal, IEXTEN);
  if (Is(terminal, VERASE, byte)) {
    EraseCharacter(terminal);
  } else if (Is(terminal, VKILL, byte)) {
    EraseLine(terminal);
  } else if (extended && Is(terminal, VWERASE, byte)) {
    EraseWord(terminal);
  } else if (extended && Is(terminal, VREPRINT, byte)) {
    Reprint(terminal);
  } else if (extended && Is(terminal, VLNEXT, byte)) {
    terminal.next_is_literal = true;
    if (Local(terminal, ECHO) && Local(terminal, ECHOCTL)) Echo(terminal, "^\b", 2);
  } else if (Is(terminal, VEOF, byte)) {
    Append(terminal, 0, true);
    FinishLine(terminal);
  } else {
    return false;
  }
  return true;
}

void ReceiveText(Terminal& terminal, uint8_t byte, bool literal) {
  const bool canonical = Local(terminal, ICANON);
  const bool ends = canonical && !literal &&
                    (byte == '\n' || Is(terminal, VEOL, byte) || Is(terminal, VEOL2, byte));
  // One place is kept for the end of the line.
  const uint32_t room = Terminal::kInputBytes - (terminal.head - terminal.tail);
  if (room < (ends ? 1u : 2u)) {
    if (Has(terminal.settings.input, IMAXBEL)) Echo(terminal, "\a", 1);
    return;
  }
  if (Local(terminal, ECHO)) {
    EchoByte(terminal, byte);
  } else if (byte == '\n' && canonical && Local(terminal, ECHONL)) {
    Echo(terminal, "\n", 1);
  }
  Append(terminal, byte, ends);
  if (ends || !canonical) FinishLine(terminal);
}

}  // namespace

void SetDefaults(Terminal& terminal) {
  TerminalSettings& settings = terminal.settings;
  settings.input = BRKINT | ICRNL | IXON | IMAXBEL | IUTF8;
  settings.output = OPOST | ONLCR;
  settings.control = B38400 | CS8 | CREAD;
  settings.local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
  constexpr uint8_t kCharacters[19] = {3,  28, kDelete, 21, 4,  0,  1, 0, 17, 19,
                                       26, 0,  18,      15, 23, 22, 0, 0, 0};
  memcpy(settings.characters, kCharacters, sizeof kCharacters);
}

void Receive(Terminal& terminal, uint8_t byte) {
  const uint32_t input = terminal.settings.input;
  if (terminal.next_is_literal) {
    terminal.next_is_literal = false;
    ReceiveText(terminal, byte, true);
    return;
  }
  if (Has(input, ISTRIP)) byte &= 0x7f;
  if (Has(input, IXON)) {
    const bool start = Is(terminal, VSTART, byte);
    if (start || Is(terminal, VSTOP, byte)) {
      terminal.output_stopped = !start;
      terminal.output_changed.WakeAll();
      return;
    }
  }
  if (terminal.output_stopped && Has(input, IXANY)) {
    terminal.output_stopped = false;
    terminal.output_changed.WakeAll();
  }
  if (Local(terminal, ISIG) && ReceiveSignal(terminal, byte)) return;
  if (byte == '\r') {
    if (Has(input, IGNCR)) return;
    if (Has(input, ICRNL)) byte = '\n';
  } else if (byte == '\n' && Has(input, INLCR)) {
    byte = '\r';
  }
  if (Local(terminal, ICANON) && EditLine(terminal, byte)) return;
  ReceiveText(terminal, byte, false);
}

bool CanReceive(const Terminal& terminal) {
  const uint32_t room = Terminal::kInputBytes - (terminal.head - terminal.tail);
  if (room > 2) return true;
  // A line that is too long for the buffer loses its end; lines that nobody read yet wait.
  return Local(terminal, ICANON) && terminal.lines == terminal.tail;
}

bool HasLine(const Terminal& terminal) {
  return terminal.lines != terminal.tail;
}

uint32_t ReadableBytes(const Terminal& terminal) {
  return (Local(terminal, ICANON) ? terminal.lines : terminal.head) - terminal.tail;
}

bool TakeInput(Terminal& terminal, uint8_t* to, uint32_t size, uint32_t* count) {
  *count = 0;
  if (!Local(terminal, ICANON)) {
    while (*count < size && terminal.tail != terminal.head) {
      to[(*count)++] = ByteAt(terminal, terminal.tail++);
    }
    terminal.lines = terminal.head;
    terminal.input_changed.WakeAll();
    return *count > 0;
  }
  if (!HasLine(terminal)) return false;
  while (terminal.tail != terminal.lines) {
    const bool end = IsMarked(terminal, terminal.tail);
    const uint8_t byte = ByteAt(terminal, terminal.tail);
    const bool end_of_file = end && byte == 0;
    // The mark behind a read that just fits belongs to that read, not to the next one.
    if (!end_of_file && *count == size) break;
    ++terminal.tail;
    if (end_of_file) break;
    to[(*count)++] = byte;
    if (end) break;
  }
  terminal.input_changed.WakeAll();
  return true;
}

void ChangeSettings(Terminal& terminal, const TerminalSettings& settings) {
  const bool was_canonical = Local(terminal, ICANON);
  terminal.settings = settings;
  const bool canonical = Local(terminal, ICANON);
  if (canonical && !was_canonical && terminal.head != terminal.tail) {
    // What was typed ahead can be read as it is, line by line.
    for (uint32_t at = terminal.tail; at != terminal.head; ++at) {
      SetMark(terminal, at, ByteAt(terminal, at) == '\n');
    }
  }
  if (canonical != was_canonical) terminal.lines = terminal.head;
  if (!Has(settings.input, IXON)) terminal.output_stopped = false;
  terminal.input_changed.WakeAll();
  terminal.output_changed.WakeAll();
}

void FlushInput(Terminal& terminal) {
  terminal.tail = terminal.lines = terminal.head;
  terminal.input_changed.WakeAll();
}

uint32_t OutputRoom(const Terminal& terminal) {
  if (const control::Ring* ring = terminal.keeper_output) {
    const uint32_t fill = ring->written.load() - ring->read.load();
    return control::kRingBytes - std::min(fill, control::kRingBytes);
  }
  if (terminal.output == nullptr) return 0;
  return OutputQueue::kBytes - (terminal.output->written - terminal.output->taken);
}

uint32_t Send(Terminal& terminal, const uint8_t* from, uint32_t size) {
  uint8_t out[1024];
  uint32_t filled = 0;
  uint32_t done = 0;
  const uint32_t room = std::min<uint32_t>(OutputRoom(terminal), sizeof out);
  while (done < size && filled + kTab <= room) {
    filled += Convert(terminal, from[done++], out + filled);
  }
  if (filled > 0) {
    PutOutput(terminal, out, filled);
    terminal.start_column = terminal.column;
  }
  return done;
}

}  // namespace cordon::kernel
