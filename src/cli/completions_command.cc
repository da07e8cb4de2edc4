#include "cli/completions_command.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"

namespace cordon::cli {
namespace {

struct Described {
  std::string name;
  std::string text;
};
struct DescribedCommand {
  Described command;
  std::vector<Described> options;  // with their dashes
};

// Between quotes of a shell.
std::string Plain(const std::string& text) {
  std::string plain;
  for (const char letter : text) {
    if (letter == '\n') break;
    plain += std::string_view("'`$\\\"[]:").find(letter) == std::string_view::npos ? letter : ' ';
  }
  return plain;
}

std::vector<DescribedCommand> Describe() {
  CommandLine line("");
  Command root = line.root();
  std::function<int()> chosen;
  AddCommands(root, {}, &chosen);
  std::vector<DescribedCommand> commands;
  for (const CommandSummary& summary : root.Summaries()) {
    DescribedCommand described = {{summary.command.name, Plain(summary.command.about)}, {}};
    for (const auto* items : {&summary.options, &summary.commands}) {
      for (const auto& [name, about] : *items) described.options.push_back({name, Plain(about)});
    }
    commands.push_back(std::move(described));
  }
  return commands;
}

std::string Names(const std::vector<Described>& list) {
  std::string text;
  for (const Described& item : list) text += (text.empty() ? "" : " ") + item.name;
  return text;
}

// After `--` words are the command's own: programs and files.
std::string Bash(const std::vector<DescribedCommand>& commands) {
  std::string names;
  std::string cases;
  for (const DescribedCommand& item : commands) {
    names += (names.empty() ? "" : " ") + item.command.name;
    cases += "    " + item.command.name + ") words='" + Names(item.options) + "' ;;\n";
  }
  return "_cordon() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} words='' i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
         "      COMPREPLY=($(compgen -c -f -- \"$word\"))\n      return\n    fi\n  done\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    COMPREPLY=($(compgen -W '" +
         names +
         "' -- \"$word\"))\n    return\n  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
         "}\n"
         "complete -o filenames -F _cordon cordon\n";
}

std::string Zsh(const std::vector<DescribedCommand>& commands) {
  std::string names;
  std::string cases;
  for (const DescribedCommand& item : commands) {
    names += "    '" + item.command.name + ":" + item.command.text + "'\n";
    cases += "    " + item.command.name + ")\n      words=(\n";
    for (const Described& option : item.options)
      cases += "        '" + option.name + ":" + option.text + "'\n";
    cases += "      )\n      ;;\n";
  }
  return "#compdef cordon\n_cordon() {\n  local -a names words\n  names=(\n" + names +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n    _describe command names\n    return\n  fi\n"
         "  if (( ${words[(I)--]} )); then\n    _normal\n    return\n  fi\n"
         "  case $words[2] in\n" +
         cases +
         "  esac\n  _describe option words\n  _files\n}\n"
         "if [ \"$funcstack[1]\" = _cordon ]; then _cordon \"$@\"; else compdef _cordon cordon; "
         "fi\n";
}

std::string Fish(const std::vector<DescribedCommand>& commands) {
  std::string text = "complete -c cordon -f\n";
  for (const DescribedCommand& item : commands) {
    text += "complete -c cordon -n __fish_use_subcommand -a " + item.command.name + " -d '" +
            item.command.text + "'\n";
    const std::string seen =
        "complete -c cordon -n '__fish_seen_subcommand_from " + item.command.name + "' ";
    for (const Described& option : item.options) {
      if (option.name.starts_with("--")) {
        text += seen + "-l " + option.name.substr(2);
      } else if (option.name.starts_with("-")) {
        text += seen + "-s " + option.name.substr(1);
      } else {
        text += seen + "-a " + option.name;
      }
      text += " -d '" + option.text + "'\n";
    }
  }
  return text;
}

int Print(const std::string& shell) {
  const std::vector<DescribedCommand> commands = Describe();
  const std::string text = shell == "zsh"    ? Zsh(commands)
                           : shell == "fish" ? Fish(commands)
                                             : Bash(commands);
  (void)fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void AddCompletionsCommand(Command& app, std::function<int()>* chosen) {
  auto shell = std::make_shared<std::string>();
  Command completions =
      app.AddCommand("completions", "a script that completes this command line in a shell");
  completions.AddOption("shell", *shell, "bash, zsh or fish")
      .Required()
      .OneOf({"bash", "zsh", "fish"});
  completions.Footer(
      "cordon completions bash >~/.local/share/bash-completion/completions/cordon\n"
      "cordon completions fish >~/.config/fish/completions/cordon.fish");
  completions.OnCall([shell, chosen] { *chosen = [shell] { return Print(*shell); }; });
}

}  // namespace cordon::cli
