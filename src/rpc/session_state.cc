#include "rpc/session_state.h"

#include <algorithm>

#include "live/shell.h"
#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

// Parts of the output, each ends with a zero byte; exported variables and an empty part follow.
enum Part : size_t {
  kDirectory,
  kVariables,
  kFunctions,
  kAliases,
  kUmask,
  kTraps,
  kOptions,
  kParts
};
constexpr const char* kNames[kParts] = {"directory", "variables", "functions", "aliases",
                                        "umask",     "traps",     "options"};

// Variables that belong to one shell, or that it computes.
constexpr const char* kOwnVariables =
    "_|__cordon*|BASH|BASHOPTS|BASHPID|BASH_*|COMP_*|COLUMNS|DIRSTACK|EPOCH*|EUID|FUNCNAME|GROUPS|"
    "HISTCMD|HISTFILE|HISTSIZE|HISTFILESIZE|HOSTNAME|HOSTTYPE|LINENO|LINES|MACHTYPE|OPTERR|OSTYPE|"
    "PIPESTATUS|PPID|PS1|PS2|PS4|PWD|RANDOM|SECONDS|SHELLOPTS|SHLVL|SRANDOM|UID";

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string TextOf(const Json& object, const std::string& name) {
  if (!object.is_object()) return {};
  const auto coded = object.find(name + "Base64");
  if (coded != object.end() && coded->is_string()) {
    return DecodeBase64(coded->get<std::string>()).value_or("");
  }
  const auto plain = object.find(name);
  return plain != object.end() && plain->is_string() ? plain->get<std::string>() : "";
}

// A script of ours: @ is builtin, whatever functions and aliases a session has.
std::string Script(std::string_view text) {
  std::string script;
  for (const char c : text) {
    if (c == '@') {
      script.append("\\").append(live::kBuiltin);
    } else {
      script += c;
    }
  }
  return script;
}

// The options but those that no shell lets itself be told. What has a shell say what it does comes
// last, with a good end before it.
std::string OptionsToSet(const std::string& options) {
  std::string kept;
  std::string last = Script("@ true");
  for (size_t at = 0; at < options.size();) {
    const size_t end = std::min(options.find('\n', at), options.size());
    const std::string_view line = std::string_view(options).substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.ends_with(" login_shell") || line.ends_with(" restricted_shell"))
      continue;
    const bool is_loud = line == "set -o verbose" || line == "set -o xtrace";
    (is_loud ? last.append("; ") : kept).append(Script("@ ")).append(line);
    if (!is_loud) kept += '\n';
  }
  return kept + last + "\n";
}

// What `trap -p` or `alias -p` printed, for a shell that has functions of these names: every
// command, which may go on over lines within quotes, is the builtin.
std::string AsBuiltins(const std::string& commands) {
  std::string text;
  bool is_quoted = false;
  bool is_first = true;
  for (size_t i = 0; i < commands.size(); ++i) {
    const char c = commands[i];
    if (is_first && c != '\n') text += Script("@ ");
    text += c;
    if (c == '\'') is_quoted = !is_quoted;
    if (c == '\\' && !is_quoted && i + 1 < commands.size()) text += commands[++i];
    is_first = c == '\n' && !is_quoted;
  }
  return text;
}

}  // namespace

std::string CaptureScript() {
  // In a child of the shell, which has all that it knows and whose changes go with it. What traps
  // of the session print is no part of it: it goes to where nobody reads.
  return Script(
             "{ ( { @ set +eux; @ trap '' ERR DEBUG RETURN; } >/dev/null; "
             "@ printf '%s\\0' \"$PWD\"; "
             "@ compgen -A variable | while IFS= @ read -r __cordon_name; do "
             "case $__cordon_name in ") +
         kOwnVariables +
         Script(
             ") ;; *) @ declare -p -- \"$__cordon_name\";; esac; done; @ printf '\\0'; "
             "@ declare -f; @ declare -F | while IFS=' ' @ read -r __cordon_word "
             "__cordon_flags __cordon_name; do case $__cordon_flags in *[rtx]*) "
             "@ printf '%s declare %s %s >/dev/null\\n' '@' \"$__cordon_flags\" "
             "\"$__cordon_name\";; esac; done; @ printf '\\0'; "
             "@ alias -p; @ printf '\\0'; @ umask -p; @ printf '\\0'; ) 2>/dev/null >&9; "
             "@ trap -p >&9; @ printf '\\0' >&9; @ shopt -p >&9 || @ true; "
             "@ set +o >&9; @ printf '\\0' >&9; "
             "( { @ set +eux; @ trap '' ERR DEBUG RETURN; } >/dev/null; "
             "@ compgen -e | while IFS= @ read -r __cordon_name; do "
             "@ printf '%s=%s\\0' \"$__cordon_name\" \"${!__cordon_name}\"; done; "
             "@ printf '\\0' ) 2>/dev/null >&9; } 9>&1 >/dev/null");
}

std::optional<SessionState> ReadCapture(std::string_view output) {
  SessionState state;
  state.session = {{"version", 1}};
  for (size_t part = 0;; ++part) {
    const size_t end = output.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string text(output.substr(0, end));
    output.remove_prefix(end + 1);
    // Behind the last variable. A trap may print more.
    if (part >= kParts && text.empty()) break;
    if (part == kDirectory) state.directory = text;
    if (part < kParts) {
      PutText(state.session, kNames[part], text);
    } else if (text.find('=') != std::string::npos && !text.starts_with("_=")) {
      state.environment.push_back(text);
    }
  }
  std::ranges::sort(state.environment);
  return state;
}

std::string RestoreScript(const Json& session) {
  const auto text = [&](Part part) { return TextOf(session, kNames[part]); };
  // Words of functions are not to be taken for aliases, patterns in them may be extended ones,
  // their names may be those that POSIX keeps, and a failure is no end. Where the session of a
  // sandbox stays, its own `declare`, by which variables are told, is put aside for them.
  std::string script = Script(
      "@ set +euxv; @ shopt -u expand_aliases; @ shopt -s extglob\n"
      "__cordon_declare=$(@ declare -f declare); @ unset -f declare\n");
  script += text(kVariables) + "\n";
  script += Script("@ set +o posix; @ eval \"$__cordon_declare\"; @ unset __cordon_declare\n");
  script += text(kFunctions) + "\n" + AsBuiltins(text(kAliases)) + "\n";
  script += AsBuiltins(text(kUmask)) + "\n";
  const std::string directory = text(kDirectory);
  if (!directory.empty()) script += Script("@ cd -- ") + Quoted(directory) + "\n";
  return script + AsBuiltins(text(kTraps)) + "\n" + OptionsToSet(text(kOptions));
}

}  // namespace cordon::rpc
