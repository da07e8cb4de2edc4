#include "rpc/session_state.h"

#include <algorithm>

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

// The options but those that no shell lets itself be told. What has a shell say what it does comes
// last, with a good end before it.
std::string OptionsToSet(const std::string& options) {
  std::string kept;
  std::string last = "builtin true";
  for (size_t at = 0; at < options.size();) {
    const size_t end = std::min(options.find('\n', at), options.size());
    const std::string_view line = std::string_view(options).substr(at, end - at);
    at = end + 1;
    if (line.ends_with(" login_shell") || line.ends_with(" restricted_shell")) continue;
    if (line == "set -o verbose" || line == "set -o xtrace") {
      last.append("; ").append(line);
      continue;
    }
    kept.append(line).append("\n");
  }
  return kept + last + "\n";
}

}  // namespace

std::string CaptureScript() {
  // In a child of the shell, which has all that it knows and whose changes go with it. What traps
  // of the session print is no part of it: it goes to where nobody reads.
  return "{ ( { \\builtin set +eux; \\builtin trap '' ERR DEBUG RETURN; } >/dev/null; "
         "\\builtin printf '%s\\0' \"$PWD\"; "
         "\\builtin compgen -A variable | while IFS= \\builtin read -r __cordon_name; do "
         "case $__cordon_name in " +
         std::string(kOwnVariables) +
         ") ;; *) \\builtin declare -p -- \"$__cordon_name\";; esac; done; \\builtin printf '\\0'; "
         "\\builtin declare -f; \\builtin declare -F | while IFS=' ' \\builtin read -r "
         "__cordon_word "
         "__cordon_flags __cordon_name; do case $__cordon_flags in *[rtx]*) "
         "\\builtin printf 'builtin declare %s %s >/dev/null\\n' \"$__cordon_flags\" "
         "\"$__cordon_name\";; esac; done; \\builtin printf '\\0'; "
         "\\builtin alias -p; \\builtin printf '\\0'; \\builtin umask -p; \\builtin printf '\\0'; "
         ") "
         "2>/dev/null >&9; "
         "\\builtin trap -p >&9; \\builtin printf '\\0' >&9; \\builtin shopt -p >&9 || \\builtin "
         "true; "
         "\\builtin set +o >&9; \\builtin printf '\\0' >&9; "
         "( { \\builtin set +eux; \\builtin trap '' ERR DEBUG RETURN; } >/dev/null; "
         "\\builtin compgen -e | while IFS= \\builtin read -r __cordon_name; do "
         "\\builtin printf '%s=%s\\0' \"$__cordon_name\" \"${!__cordon_name}\"; done; \\builtin "
         "printf '\\0' ) 2>/dev/null >&9; "
         "} 9>&1 >/dev/null";
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
  // Words of functions are not to be taken for aliases, and a failure is no end.
  std::string script = "\\builtin set +euxv; \\builtin shopt -u expand_aliases\n";
  script += text(kVariables) + "\n" + text(kFunctions) + "\n" + text(kAliases) + "\n";
  script += text(kUmask) + "\n";
  const std::string directory = text(kDirectory);
  if (!directory.empty()) script += "builtin cd -- " + Quoted(directory) + "\n";
  return script + text(kTraps) + "\n" + OptionsToSet(text(kOptions));
}

}  // namespace cordon::rpc
