#include "cli/log_command.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/plain_text.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/network_log.h"
#include "cli/run_log.h"
#include "policy/surroundings.h"

namespace cordon::cli {
namespace {

struct Options {
  bool network = false;
  bool refused = false;
  bool as_json = false;
  size_t lines = 20;
};

std::string Text(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || found->is_null()) return {};
  return PlainText(found->is_string() ? found->get<std::string>() : found->dump());
}

void PrintRun(const nlohmann::json& line) {
  std::string command;
  for (const auto& word : line.value("command", nlohmann::json::array())) {
    if (word.is_string()) command += " " + word.get<std::string>();
  }
  (void)printf("%s  %-7s %3s  %s:%s\n", Text(line, "time").c_str(), Text(line, "wall").c_str(),
               Text(line, "exit_code").c_str(), Text(line, "directory").c_str(),
               PlainText(command).c_str());
}

void PrintDecision(const nlohmann::json& line) {
  std::string rest;
  for (const auto& [key, value] : line.items()) {
    if (key == "time" || key == "event" || key == "verdict") continue;
    rest += "  " + key + "=" + Text(line, key.c_str());
  }
  (void)printf("%s  %-8s %-5s%s\n", Text(line, "time").c_str(), Text(line, "verdict").c_str(),
               Text(line, "event").c_str(), rest.c_str());
}

int Show(const Options& options) {
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const std::string folder = StateFolder(around);
  const std::string path = options.network ? folder + "/network.log" : RunLogPath(around);
  std::ifstream file(path);
  if (folder.empty() || !file) {
    Complain("nothing was logged yet: " + path);
    return 0;
  }
  std::deque<std::pair<std::string, nlohmann::json>> last;
  for (std::string text; std::getline(file, text);) {
    nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
    if (!line.is_object()) continue;
    if (options.refused && line.value("verdict", "") != "refused") continue;
    last.emplace_back(std::move(text), std::move(line));
    if (last.size() > options.lines) last.pop_front();
  }
  for (const auto& [text, line] : last) {
    if (options.as_json) {
      (void)puts(text.c_str());
    } else if (options.network) {
      PrintDecision(line);
    } else {
      PrintRun(line);
    }
  }
  return 0;
}

}  // namespace

void AddLogCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command log = app.AddCommand("log", "what was run, and what the network was asked for");
  const Option network =
      log.AddFlag("--network", options->network, "the gateway's decisions instead of the commands");
  log.AddFlag("--refused", options->refused, "of them those that were refused").Needs(network);
  log.AddOption("-n,--lines", options->lines, "how many, from the end (20)");
  log.AddFlag("--json", options->as_json, "as they were written, a line each");
  log.Footer("cordon log\ncordon log --network --refused -n 100");
  log.OnCall([options, chosen] { *chosen = [options] { return Show(*options); }; });
}

}  // namespace cordon::cli
