#include "rpc/package_command.h"

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/plain_text.h"
#include "rpc/packages.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;
using packages::PackageError;
using packages::PackageResult;

constexpr const char* kUsage = "usage: pkg <install|remove|list|info|search|update> [args...]";

// Text of others as one line of a terminal.
std::string OneLine(std::string_view text) {
  constexpr size_t kMost = 1000;
  return PlainLine(text.substr(0, kMost));
}

struct InstallWords {
  packages::InstallRequest request;
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

std::string TimeText(int64_t ms) {
  char text[32] = {};
  const time_t time = ms / 1000;
  tm parts = {};
  if (gmtime_r(&time, &parts) == nullptr) return "?";
  (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

class Command : public std::enable_shared_from_this<Command> {
 public:
  Command(std::shared_ptr<Sandbox> sandbox, const Frame& request)
      : sandbox_(std::move(sandbox)), channel_(request.arg[0]), number_(request.arg[1]) {
    live::PayloadReader reader(request.payload);
    std::string word;
    while (reader.TakeString(&word)) words_.push_back(word);
  }

  void Run() {
    if (!sandbox_->packages) return Fail("pkg: package manager is disabled");
    if (words_.empty()) return Fail(kUsage);
    constexpr struct {
      const char* verb;
      void (Command::*run)();
    } kVerbs[] = {{"install", &Command::Install}, {"remove", &Command::Remove},
                  {"list", &Command::List},       {"info", &Command::Info},
                  {"search", &Command::Search},   {"update", &Command::Update}};
    for (const auto& [verb, run] : kVerbs) {
      if (words_[0] == verb) return (this->*run)();
    }
    Fail("pkg: unknown subcommand '" + words_[0] + "'");
  }

 private:
  void Tell(const std::string& line, bool is_last) const {
    sandbox_->link->Tell({Kind::kGuestReply, 0, {channel_, number_, is_last ? 1 : 0}, line + "\n"});
  }
  void Out(const std::string& text) const { Tell("out " + OneLine(text), false); }
  void Error(const std::string& text) const { Tell("err " + OneLine(text), false); }
  void Exit(int status) const { Tell("exit " + std::to_string(status), true); }
  void Fail(const std::string& text) const {
    Error(text);
    Exit(1);
  }
  void Refuse(const std::string& verb, const PackageError& error) const {
    Fail("pkg " + verb + ": " + error.message + " (" + packages::TextOf(error.code) + ")");
  }
  [[nodiscard]] Packages& packages() const { return *sandbox_->packages; }
  [[nodiscard]] Asker asker() const { return {nullptr, {}, channel_, number_}; }
  [[nodiscard]] Packages::Line Progress() {
    return [self = shared_from_this()](const std::string& line) { self->Out(line); };
  }

  void Install() {
    const InstallWords read = ReadInstall(words_);
    if (!read.wrong.empty()) return Fail("pkg install: " + read.wrong);
    packages().Install(asker(), read.request, Progress(),
                       [self = shared_from_this()](const PackageResult<Packages::Done>& done) {
                         if (!done) return self->Refuse("install", done.error());
                         self->Out("installed " + done->name + " (" +
                                   std::to_string(done->package.size) + " bytes) from " +
                                   done->package.url);
                         self->Exit(0);
                       });
  }

  void Update() {
    names_.assign(words_.begin() + 1, words_.end());
    if (names_.empty()) {
      for (const auto& [name, package] : packages().installed()) names_.push_back(name);
    }
    UpdateNext(0);
  }

  // What cannot be updated does not keep the others from it.
  void UpdateNext(size_t at) {
    if (at >= names_.size()) return Exit(has_failed_ ? 1 : 0);
    packages().Update(
        asker(), names_[at], Progress(),
        [self = shared_from_this(), at](const PackageResult<Packages::Done>& done) {
          // There is nobody to go on for.
          if (!done && done.error().code == packages::PackageCode::kCancelled) return;
          if (!done) {
            self->has_failed_ = true;
            self->Error("pkg update: " + done.error().message + " (" +
                        packages::TextOf(done.error().code) + ")");
          } else {
            self->Out(done->is_new ? "updated " + done->name : done->name + " is current");
          }
          self->UpdateNext(at + 1);
        });
  }

  void Remove() {
    if (words_.size() != 2) return Fail("pkg remove: a name is needed");
    packages().Remove(
        asker(), words_[1], [self = shared_from_this()](const PackageResult<std::string>& removed) {
          if (removed) {
            self->Out("removed " + *removed);
            return self->Exit(0);
          }
          if (removed.error().code == packages::PackageCode::kNotFound) {
            return self->Fail("pkg remove: '" + self->words_[1] + "' is not installed");
          }
          self->Refuse("remove", removed.error());
        });
  }

  void List() {
    for (const auto& [name, package] : packages().installed()) {
      Out(name + "\t" + std::to_string(package.size) + "\t" + package.url);
    }
    Exit(0);
  }

  void Info() {
    const std::string name = words_.size() > 1 ? words_[1] : "";
    const auto found = packages().Find(name);
    if (!found) return Fail("pkg info: package '" + name + "' not found");
    Out("Name: " + found->name);
    Out("URL: " + found->package.url);
    Out("Size: " + std::to_string(found->package.size));
    Out("SHA-256: " + found->package.hash);
    Out("Installed: " + TimeText(found->package.installed_ms));
    Exit(0);
  }

  void Search() {
    packages().Search(
        asker(), words_.size() > 1 ? words_[1] : "",
        [self = shared_from_this()](const PackageResult<packages::Index>& index) {
          if (!index) return self->Refuse("search", index.error());
          for (const auto& [name, entry] : *index) {
            self->Out(name + "\t" + std::to_string(entry.size) + "\t" + entry.description);
          }
          self->Exit(0);
        });
  }

  std::shared_ptr<Sandbox> sandbox_;
  int64_t channel_;
  int64_t number_;
  std::vector<std::string> words_;
  std::vector<std::string> names_;
  bool has_failed_ = false;
};

}  // namespace

void AnswerGuest(const std::shared_ptr<Sandbox>& sandbox, const Frame& request) {
  std::make_shared<Command>(sandbox, request)->Run();
}

void LeaveGuest(Sandbox& sandbox, const Frame& gone) {
  if (!sandbox.packages) return;
  sandbox.packages->GiveUp([&gone](const Asker& asker) {
    return asker.channel == gone.arg[0] && asker.number == gone.arg[1];
  });
}

}  // namespace cordon::rpc
