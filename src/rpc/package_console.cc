#include "rpc/package_console.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <deque>
#include <optional>
#include <utility>

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

constexpr size_t kMostLine = 8192;
constexpr size_t kMostWaiting = 64;
constexpr int kMostStarts = 5;
constexpr const char* kUsage = "usage: pkg <install|remove|list|info|search|update> [args...]";

// The user's side. A newline cannot be passed on; the separator is what no argument has.
constexpr const char* kScript = R"(#!/bin/bash
folder=/run/cordon/pkg
if [ ! -p $folder/request ]; then echo "pkg: package manager is disabled" >&2; exit 1; fi
reply=$folder/reply-$$
printf -v words '%s\037' "$@"
case $words in *$'\n'*) echo "pkg: a newline in an argument" >&2; exit 1;; esac
mkfifo -m 600 $reply || exit 1
trap 'rm -f $reply' EXIT
exec 4<>$reply
printf '%s %s\n' $$ "$words" >$folder/request
status=1
while IFS= read -r line <&4; do
  case $line in
  out\ *) printf '%s\n' "${line#out }" ;;
  err\ *) printf '%s\n' "${line#err }" >&2 ;;
  exit\ *) status=${line#exit } ;;
  end) break ;;
  esac
done
exit $status
)";

constexpr const char* kResident = R"(cd /run/cordon/pkg || exit 1
rm -f request; mkfifo -m 600 request || exit 1
exec 3<>request
trap '' PIPE INT TERM HUP
while IFS= read -r line <&3; do
  id=${line%% *}
  case $id in ''|*[!0-9]*) continue;; esac
  [ -p reply-$id ] || continue
  exec 4<>reply-$id || continue
  printf '%s\n' "$line"
  while IFS= read -r answer && [ "$answer" != end ]; do printf '%s\n' "$answer" >&4; done
  printf 'end\n' >&4
  exec 4>&-
done
)";

// Text of others as one line.
std::string OneLine(std::string text) {
  constexpr size_t kMost = 1000;
  text.resize(std::min(text.size(), kMost));
  std::ranges::replace_if(text, [](char c) { return c >= 0 && c < ' ' && c != '\t'; }, ' ');
  return text;
}

struct InstallWords {
  pkg::InstallRequest request;
  std::string wrong;
};

InstallWords ReadInstall(const std::vector<std::string>& words) {
  InstallWords read;
  for (size_t i = 1; i < words.size(); ++i) {
    const bool is_option = words[i] == "--name" || words[i] == "--sha256";
    if (is_option && i + 1 == words.size()) {
      read.wrong = words[i] + " needs a value";
    } else if (is_option) {
      (words[i] == "--name" ? read.request.name : read.request.expected) = words[i + 1];
      ++i;
    } else if (words[i].starts_with("-")) {
      read.wrong = "unknown option " + words[i];
    } else if (!read.request.source.empty()) {
      read.wrong = "more than one URL or name";
    } else {
      read.request.source = words[i];
    }
  }
  if (read.wrong.empty() && read.request.source.empty()) read.wrong = "no URL specified";
  return read;
}

std::string TimeText(int64_t seconds) {
  char text[32] = {};
  const time_t time = seconds;
  tm parts = {};
  gmtime_r(&time, &parts);
  (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

class Command : public std::enable_shared_from_this<Command> {
 public:
  Command(std::shared_ptr<Sandbox> sandbox, std::vector<std::string> words, ConsoleLine answer)
      : sandbox_(std::move(sandbox)), words_(std::move(words)), answer_(std::move(answer)) {}

  void Run() {
    if (sandbox_->packages == nullptr || !sandbox_->packages->policy().enabled) {
      return Fail("pkg: package manager is disabled");
    }
    if (words_.empty()) return Fail(kUsage);
    const std::string& verb = words_[0];
    if (verb == "install") return Install();
    if (verb == "update") return Update();
    if (verb == "remove") return Remove();
    if (verb == "list") return List();
    if (verb == "info") return Info();
    if (verb == "search") return Search();
    Fail("pkg: unknown subcommand '" + verb + "'");
  }

 private:
  void Out(const std::string& text) { answer_("out " + OneLine(text)); }
  void Fail(const std::string& text) {
    answer_("err " + OneLine(text));
    answer_("exit 1");
  }
  void Succeed() { answer_("exit 0"); }
  void Finish(const char* verb, const Packages::Outcome& outcome) {
    Fail(std::string("pkg ") + verb + ": " + outcome.error_text + " (" + outcome.error_code + ")");
  }
  [[nodiscard]] Packages& packages() const { return *sandbox_->packages; }

  void Install() {
    const InstallWords read = ReadInstall(words_);
    if (!read.wrong.empty()) return Fail("pkg install: " + read.wrong);
    packages().Install(
        sandbox_, read.request, false,
        [self = shared_from_this()](const std::string& line) { self->Out(line); },
        [self = shared_from_this()](const Packages::Outcome& outcome) {
          if (!outcome.error_code.empty()) return self->Finish("install", outcome);
          self->Out("installed " + outcome.name + " (" + std::to_string(outcome.package.size) +
                    " bytes) from " + outcome.package.url);
          self->Succeed();
        });
  }

  // What was installed once, from where it came.
  void Update() {
    if (words_.size() != 2) return Fail("pkg update: a name is needed");
    const auto found = packages().installed().find(words_[1]);
    if (found == packages().installed().end()) {
      return Fail("pkg update: '" + words_[1] + "' is not installed");
    }
    const bool has_index = !packages().policy().index.empty();
    packages().Install(
        sandbox_, {has_index ? words_[1] : found->second.url, words_[1], {}}, true,
        [self = shared_from_this()](const std::string& line) { self->Out(line); },
        [self = shared_from_this(), before = found->second.hash](const Packages::Outcome& outcome) {
          if (!outcome.error_code.empty()) return self->Finish("update", outcome);
          self->Out(outcome.package.hash == before ? outcome.name + " is current"
                                                   : "updated " + outcome.name);
          self->Succeed();
        });
  }

  void Remove() {
    if (words_.size() != 2) return Fail("pkg remove: a name is needed");
    packages().Remove(sandbox_, words_[1],
                      [self = shared_from_this()](const Packages::Outcome& outcome) {
                        if (outcome.error_code == "E_PKG_NOT_FOUND") {
                          return self->Fail("pkg remove: '" + outcome.name + "' is not installed");
                        }
                        if (!outcome.error_code.empty()) return self->Finish("remove", outcome);
                        self->Out("removed " + outcome.name);
                        self->Succeed();
                      });
  }

  void List() {
    for (const auto& [name, package] : packages().installed()) {
      Out(name + "\t" + std::to_string(package.size) + "\t" + package.url);
    }
    Succeed();
  }

  void Info() {
    const auto found = packages().installed().find(words_.size() > 1 ? words_[1] : "");
    if (found == packages().installed().end()) {
      return Fail("pkg info: package '" + (words_.size() > 1 ? words_[1] : "") + "' not found");
    }
    Out("Name: " + found->first);
    Out("URL: " + found->second.url);
    Out("Size: " + std::to_string(found->second.size));
    Out("SHA-256: " + found->second.hash);
    Out("Installed: " + TimeText(found->second.installed_seconds));
    Succeed();
  }

  void Search() {
    packages().Search([self = shared_from_this()](const Packages::Outcome& outcome) {
      if (!outcome.error_code.empty()) return self->Finish("search", outcome);
      const std::string wanted = self->words_.size() > 1 ? self->words_[1] : "";
      for (const auto& [name, entry] : outcome.index) {
        const bool fits = name.find(wanted) != std::string::npos ||
                          entry.description.find(wanted) != std::string::npos;
        if (fits) self->Out(name + "\t" + std::to_string(entry.size) + "\t" + entry.description);
      }
      self->Succeed();
    });
  }

  std::shared_ptr<Sandbox> sandbox_;
  std::vector<std::string> words_;
  ConsoleLine answer_;
};

// The daemon's end of the resident shell. It answers one question after the other.
class Console : public std::enable_shared_from_this<Console> {
 public:
  explicit Console(const std::shared_ptr<Sandbox>& sandbox) : sandbox_(sandbox) {}

  void Prepare() {
    const auto sandbox = sandbox_.lock();
    if (!sandbox) return;
    const auto ignore = [](const Frame&) { return true; };
    sandbox->link->Ask({Kind::kMakeDir, 0, {0700}, std::string("/run/cordon/pkg") + '\0'}, ignore);
    sandbox->link->Ask({Kind::kWriteFile,
                        0,
                        {static_cast<int64_t>(live::WriteMode::kReplace), 0755},
                        std::string("/usr/local/bin/pkg") + '\0' + kScript},
                       ignore);
    Start();
  }

 private:
  void Start() {
    const auto sandbox = sandbox_.lock();
    if (!sandbox || ++starts_ > kMostStarts) return;
    Frame frame = {Kind::kSpawn, 0, {}, {}};
    frame.arg[1] = frame.arg[2] = INT64_MAX;
    frame.arg[3] = live::kHasInput;
    frame.arg[4] = 3;
    frame.payload = std::string("/") + '\0' + "/bin/bash" + '\0' + "-c" + '\0' + kResident + '\0';
    text_.clear();
    waiting_.clear();
    is_busy_ = false;
    run_ = sandbox->link->Ask(std::move(frame), [self = shared_from_this()](const Frame& answer) {
      return self->Take(answer);
    });
  }

  bool Take(const Frame& frame) {
    const auto sandbox = sandbox_.lock();
    if (frame.kind == Kind::kEnd) Start();
    if (!sandbox || frame.kind == Kind::kEnd || frame.kind == Kind::kDead) return true;
    if (frame.kind != Kind::kOutput) return false;
    const auto size = static_cast<int64_t>(frame.payload.size());
    sandbox->link->Tell({Kind::kCredit, frame.id, {frame.arg[0], size}, {}});
    if (frame.arg[0] != 1) return false;
    for (const char c : frame.payload) {
      if (c != '\n') {
        if (text_.size() < kMostLine) text_ += c;
        continue;
      }
      if (waiting_.size() < kMostWaiting) waiting_.push_back(text_);
      text_.clear();
    }
    Next();
    return false;
  }

  void Next() {
    const auto sandbox = sandbox_.lock();
    if (!sandbox || is_busy_ || waiting_.empty()) return;
    is_busy_ = true;
    std::string line = std::move(waiting_.front());
    waiting_.pop_front();
    std::vector<std::string> words;
    // Behind the number that the reply has.
    for (size_t at = std::min(line.find(' '), line.size() - 1) + 1; at < line.size();) {
      const size_t end = std::min(line.find('\037', at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    // No argument at all is written as an empty one.
    if (words.size() == 1 && words[0].empty()) words.clear();
    RunPackageCommand(sandbox, words, [self = shared_from_this(), run = run_](const std::string& answer) {
      self->Say(run, answer);
    });
  }

  void Say(uint32_t run, const std::string& line) {
    const auto sandbox = sandbox_.lock();
    if (!sandbox || run != run_) return;
    const bool is_last = line.starts_with("exit ");
    sandbox->link->Tell({Kind::kInput, run, {}, line + "\n" + (is_last ? "end\n" : "")});
    if (!is_last) return;
    is_busy_ = false;
    Next();
  }

  std::weak_ptr<Sandbox> sandbox_;
  uint32_t run_ = 0;
  int starts_ = 0;
  std::string text_;
  std::deque<std::string> waiting_;
  bool is_busy_ = false;
};

}  // namespace

void RunPackageCommand(const std::shared_ptr<Sandbox>& sandbox, const std::vector<std::string>& words,
                       const ConsoleLine& answer) {
  std::make_shared<Command>(sandbox, words, answer)->Run();
}

void StartPackageConsole(const std::shared_ptr<Sandbox>& sandbox) {
  std::make_shared<Console>(sandbox)->Prepare();
}

}  // namespace cordon::rpc
