#ifndef CORDON_POLICY_MANAGERS_H_
#define CORDON_POLICY_MANAGERS_H_

// Package managers: how their command lines read, what an install and a build write, and where
// each says which hosts it uses.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::policy {

// Lists are words with blanks between them, patterns with `|` between them.
struct Manager {
  std::string_view name;
  std::string_view programs;
  std::string_view value_options;     // options whose value is the next word
  std::string_view aliases;           // "i=install"; "=install" for no subcommand at all
  std::string_view install_patterns;  // without the program
  std::string_view build_patterns;
  std::string_view install_writable;  // a path with / at its end is a directory
  std::string_view build_writable;
  std::string_view lockfiles;
  std::string_view cache;        // below the home directory
  std::string_view manifests;    // a directory with one of them is a project of this manager
  std::string_view adds;         // subcommands that write the manifest when a package is named
  std::string_view runs = {};    // further programs that it runs, found where it is
  std::string_view before = {};  // a command that runs before an install, in the same sandbox
};

[[nodiscard]] std::span<const Manager> Managers();
[[nodiscard]] const Manager* FindManager(std::string_view name);
// By a program's name: "pip3" is pip.
[[nodiscard]] const Manager* ManagerOfProgram(std::string_view program);

[[nodiscard]] std::vector<std::string> SplitList(std::string_view list, char separator = ' ');

// Where hosts are named.
enum class SourceLevel {
  kVariable,  // an environment variable
  kProject,   // a file of the workspace
  kUser,      // a file below the home directory
  kMachine,   // a file of the machine
  kLockfile,  // of the workspace; says nothing about what else is used
  kBuiltin,   // the program's own default, where nothing else names an index
};
enum class SourceFormat { kValue, kIni, kToml, kJson, kYaml, kText };
struct HostSource {
  std::string_view manager;
  SourceLevel level;
  // A file; "$NAME/" at its beginning is a variable, "@/" the directory of the program's file.
  std::string_view where;
  SourceFormat format;
  // Keys, `|` between them, `*` for any characters. In text: what stands before the address.
  std::string_view keys;
};
[[nodiscard]] std::span<const HostSource> HostSources();

}  // namespace cordon::policy

#endif  // CORDON_POLICY_MANAGERS_H_
