// Commands of a sandbox that this program serves.

#include <algorithm>
#include <atomic>
#include <cctype>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"

namespace {

using cordon::ExtensionCall;
using cordon::Result;

Result<int> Shout(ExtensionCall& call) {
  for (;;) {
    Result<std::string> piece = call.Read();
    if (!piece) return std::unexpected(piece.error());
    if (piece->empty()) return 0;
    std::ranges::transform(*piece, piece->begin(), [](unsigned char c) { return toupper(c); });
    CORDON_TRY(call.Write(*piece));
  }
}

Result<int> Tell(ExtensionCall& call) {
  std::string text = call.cwd() + " " + call.env().at("GIVEN");
  for (const std::string& word : call.args()) text += " <" + word + ">";
  CORDON_TRY(call.Write(text + "\n"));
  CORDON_TRY(call.WriteError("seen\n"));
  return 7;
}

std::vector<cordon::Extension> All() {
  std::vector<cordon::Extension> all = {
      {.name = "shout", .description = "makes letters large", .command = Shout},
      {.name = "tell", .description = "says how it was called", .command = Tell},
      {.name = "fails",
       .description = "gives no status",
       .command = [](ExtensionCall&) -> Result<int> {
         return cordon::Fail(cordon::ErrorCode::kInvalid, "no such ticket");
       }},
      {.name = "throws",
       .description = "throws",
       .command = [](ExtensionCall&) -> Result<int> { throw std::runtime_error("thrown"); }},
  };
  all[1].usage = "tell [WORD...]";
  all[1].examples = {"tell a b"};
  all[1].category = "text";
  all[1].python_package = {
      .version = "1.0", .summary = "tells", .files = {{"__init__.py", "ANSWER = 42\n"}}};
  return all;
}

void Called(cordon::Sandbox& sandbox) {
  CHECK(Must(sandbox.Run("echo abc | shout | rev")).out == "CBA\n");
  const auto told =
      Must(sandbox.Run("cd /tmp; GIVEN='a b' tell 'x y' ''; status=$?; cd; (exit $status)"));
  CHECK(told.out == "/tmp a b <x y> <>\n" && told.err == "seen\n" && told.exit_code == 7);
  CHECK(Must(sandbox.Run("GIVEN=1 tell $'\\xff'")).out.ends_with(" <\xff>\n"));
  const auto failed = Must(sandbox.Run("fails"));
  CHECK(failed.exit_code == 1 && failed.err == "fails: no such ticket\n");
  CHECK(Must(sandbox.Run("throws")).err == "throws: thrown\n");
  // Much, both ways, and no more than somebody takes.
  cordon::RunOptions options;
  options.input.assign(5'000'000, 'q');
  CHECK(Must(sandbox.Run("shout | tr -d '\\n' | wc -c", options)).out == "5000000\n");
  CHECK(Must(sandbox.Run("yes | shout | head -n 2")).out == "Y\nY\n");
  CHECK(Must(sandbox.Run("python3 -c 'import tell; print(tell.ANSWER)'")).out == "42\n");
  CHECK(Must(sandbox.Run("seq 8 | GIVEN=1 xargs -P 4 -n 1 tell | sort | tail -n 1")).out ==
        "/home/user 1 <8>\n");
}

void Listed(cordon::Sandbox& sandbox) {
  const auto all = Must(sandbox.ListExtensions());
  const auto tell = std::ranges::find(all, "tell", &cordon::ExtensionInfo::name);
  CHECK(all.size() == 4 && tell != all.end());
  CHECK(tell->description == "says how it was called" && tell->usage == "tell [WORD...]");
  CHECK(tell->examples == std::vector<std::string>{"tell a b"} && tell->category == "text");
}

// A command that ended in the sandbox ends here; one that asks the sandbox is answered.
void EndedAndAsking(cordon::Sandbox& sandbox) {
  std::atomic<int> begun = 0, stopped = 0;
  const auto names = Must(sandbox.RegisterExtensions({
      {.name = "waits",
       .description = "until it is ended",
       .command = [&](ExtensionCall& call) -> Result<int> {
         ++begun;
         Until([&] { return call.stop().stop_requested(); });
         const auto refused = call.Write("too late");
         CHECK(!refused && refused.error().system_errno == EPIPE);
         ++stopped;
         return 0;
       }},
      {.name = "asks",
       .description = "reads a file of the sandbox",
       .command = [&](ExtensionCall& call) -> Result<int> {
         const Result<std::string> text = sandbox.ReadFile(call.args().at(0));
         if (!text) return std::unexpected(text.error());
         CORDON_TRY(call.Write(*text));
         return 0;
       }},
  }));
  CHECK(names.size() == 2);
  CHECK(Must(sandbox.Run("waits", {.timeout_ms = 500})).error_class == "TIMEOUT");
  Until([&] { return stopped == 1; });
  CHECK(begun == 1);
  Must(sandbox.WriteFile("/tmp/f", "of a file"));
  CHECK(Must(sandbox.Run("asks /tmp/f")).out == "of a file");

  // One that goes on when its sandbox ends is told.
  cordon::Process process = Must(sandbox.Spawn({"waits"}));
  Until([&] { return begun == 2; });
  Must(process.Kill());
  (void)Must(process.Wait());
  Until([&] { return stopped == 2; });
  Must(sandbox.RemoveExtension("waits"));
  CHECK(Must(sandbox.Run("waits")).exit_code == 127);
  CHECK(!sandbox.RemoveExtension("waits"));
}

}  // namespace

int main() {
  cordon::Client client = Must(cordon::Client::Start());
  cordon::CreateOptions options;
  options.extensions = All();
  cordon::Sandbox sandbox = Must(client.Create(options));
  Called(sandbox);
  Listed(sandbox);
  EndedAndAsking(sandbox);

  // A fork has them; one that calls at once, too.
  cordon::Process calls =
      Must(sandbox.Spawn({"bash", "-c", "while sleep 0.01; do echo x | shout >>~/log; done"}));
  Until([&] { return Must(sandbox.Exists("log")); });
  cordon::Sandbox fork = Must(sandbox.Fork());
  CHECK(Must(fork.Run("echo fork | shout")).out == "FORK\n");
  for (auto& one : Must(sandbox.ForkMany(2))) {
    CHECK(Must(Must(std::move(one)).Run("echo many | shout")).out == "MANY\n");
  }
  Must(calls.Kill());
  (void)Must(calls.Wait());

  const auto refused =
      sandbox.RegisterExtensions({{.name = "ls", .description = "x", .command = Shout}});
  CHECK(!refused && refused.error().ToString().find("ls") != std::string::npos);
  CHECK(!sandbox.RegisterExtensions({{.name = "nothing", .description = "x", .command = {}}}));
  CHECK(Must(sandbox.Run("ls /usr/share/none")).exit_code == 2);

  // The connection ends while a command goes on.
  std::atomic<bool> was_told = false, has_begun = false;
  {
    cordon::Client other = Must(cordon::Client::Start());
    options.extensions = {
        {.name = "waits", .description = "", .command = [&](ExtensionCall& call) -> Result<int> {
           has_begun = true;
           Until([&] { return call.stop().stop_requested(); });
           was_told = true;
           return 0;
         }}};
    cordon::Sandbox short_lived = Must(other.Create(options));
    (void)Must(short_lived.Spawn({"waits"}));
    Until([&] { return has_begun.load(); });
  }
  CHECK(was_told);
  (void)puts("all of it");
}
