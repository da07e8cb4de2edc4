// What a program does with <cordon/cordon.h>; says "all of it" when everything came as it must.

#include <cordon/cordon.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <thread>

#include "check.h"

namespace {

void Commands(cordon::Sandbox& sandbox) {
  const cordon::CommandResult hello =
      Must(sandbox.Run("cd /tmp; x=5; echo $GREETING | tr a-z A-Z"));
  CHECK(hello.out == "HELLO\n" && hello.err.empty() && hello.exit_code == 0);
  const cordon::CommandResult failed =
      Must(sandbox.Run("pwd; echo $x; echo no >&2; exit_status=3; (exit 3)"));
  CHECK(failed.exit_code == 3 && failed.out == "/tmp\n5\n" && failed.err == "no\n");
  const cordon::CommandResult late =
      Must(sandbox.Run("echo before; sleep 100", {.timeout_ms = 300}));
  CHECK(late.exit_code == 124 && late.error_class == "TIMEOUT" && late.out == "before\n");
  CHECK(hello.usage.processes == 2 && hello.usage.memory_peak_bytes > 0);
  CHECK(hello.usage.cpu_ms > 0 && hello.usage.stdout_bytes == 6);
  cordon::ExecOptions with_input;
  with_input.input = std::string("\0\xff\n", 3);
  with_input.cwd = "/usr";
  CHECK(Must(sandbox.Exec({"cat"}, with_input)).out == with_input.input);
  CHECK(Must(sandbox.Exec({"pwd"}, with_input)).out == "/usr\n");

  std::string streamed;
  cordon::RunOptions streaming;
  cordon::Error asked_from_there;
  streaming.on_output = [&](cordon::Stream, std::string_view bytes) {
    streamed += bytes;
    if (auto refused = sandbox.Run("true"); !refused) asked_from_there = refused.error();
  };
  CHECK(Must(sandbox.Run("seq 1 100000", streaming)).out.empty());
  CHECK(streamed.size() == 588895 && streamed.ends_with("\n100000\n"));
  CHECK(asked_from_there.message.find("handler") != std::string::npos);
}

void Processes(cordon::Sandbox& sandbox) {
  std::string said;
  std::mutex lock;
  cordon::SpawnOptions options;
  options.on_output = [&](cordon::Stream, std::string_view bytes) {
    const std::scoped_lock guard(lock);
    said += bytes;
  };
  cordon::Process cat = Must(sandbox.Spawn({"cat"}, options));
  const std::string much(9'000'000, 'x');
  Must(cat.Write(much));
  Must(cat.CloseInput());
  CHECK(Must(cat.Wait()).exit_code == 0);
  CHECK(said == much);
  cordon::Process sleeps = Must(sandbox.Spawn({"sleep", "100"}));
  Must(sleeps.Signal(15));
  CHECK(Must(sleeps.Wait()).signal == 15);

  // One waits, another cancels.
  cordon::CommandResult cancelled;
  std::thread waits([&] { cancelled = Must(sandbox.Exec({"sleep", "100"})); });
  while (Must(sandbox.Cancel()) == 0) std::this_thread::yield();
  waits.join();
  CHECK(cancelled.error_class == "CANCELLED");
}

void Files(cordon::Sandbox& sandbox) {
  const std::string large(10'000'000, 'y');
  Must(sandbox.WriteFile("/tmp/d/large", large, 0600));
  CHECK(Must(sandbox.ReadFile("/tmp/d/large")) == large);
  CHECK(Must(sandbox.ReadFile("/tmp/d/large", 9'999'998)) == "yy");
  CHECK(Must(sandbox.ReadFile("/tmp/d/large", 5, 3)) == "yyy");
  CHECK(Must(sandbox.Stat("/tmp/d/large")).size == large.size());
  size_t pieces = 0;
  std::string streamed;
  Must(sandbox.ReadFileTo("/tmp/d/large", [&](std::string_view bytes) {
    streamed += bytes;
    ++pieces;
    return cordon::Status();
  }));
  CHECK(streamed == large && pieces == 3);
  int left = 3;
  const cordon::Source source = [&]() -> cordon::Result<std::string> {
    return left-- == 0 ? std::string() : std::string(4'000'000, 'z');
  };
  Must(sandbox.WriteFileFrom("/tmp/d/large", source, 0644));
  CHECK(Must(sandbox.ReadFile("/tmp/d/large")) == std::string(12'000'000, 'z'));
  const auto failed = sandbox.WriteFileFrom("/tmp/d/large", []() -> cordon::Result<std::string> {
    return cordon::Fail(cordon::ErrorCode::kInvalid, "no more");
  });
  CHECK(!failed && failed.error().message == "no more");
  CHECK(Must(sandbox.Stat("/tmp/d/large")).size == 12'000'000);
  Must(sandbox.AppendFile("/tmp/d/small", "one"));
  Must(sandbox.AppendFile("/tmp/d/small", "two"));
  Must(sandbox.Symlink("small", "/tmp/d/link"));
  CHECK(Must(sandbox.List("/tmp/d")).size() == 3);
  CHECK(Must(sandbox.Stat("/tmp/d/link")).target == "small");
  const auto missing = sandbox.Stat("/tmp/missing");
  CHECK(!missing && missing.error().system_errno == ENOENT);

  std::string tar;
  Must(sandbox.Pack("/tmp/d", [&](std::string_view bytes) {
    tar += bytes;
    return cordon::Status();
  }));
  bool was_given = false;
  const auto report = Must(sandbox.Unpack("/tmp/again", [&]() -> cordon::Result<std::string> {
    return std::exchange(was_given, true) ? std::string() : tar;
  }));
  CHECK(report.entries >= 3 && Must(sandbox.ReadFile("/tmp/again/small")) == "onetwo");
  Must(sandbox.Remove("/tmp/d"));
  CHECK(!sandbox.Stat("/tmp/d"));
}

void States(cordon::Client& client, cordon::Sandbox& sandbox) {
  Must(sandbox.SetEnv("COLOUR", "it's blue"));
  CHECK(Must(sandbox.GetEnv("COLOUR")) == "it's blue" && !Must(sandbox.GetEnv("ABSENT")));
  Must(sandbox.WriteFile("kept", "before"));
  const std::string snapshot = Must(sandbox.Snapshot());
  CHECK(Must(sandbox.Snapshots()).size() == 1);
  cordon::Sandbox fork = Must(sandbox.Fork());
  CHECK(fork.id() != sandbox.id());
  auto forks = Must(sandbox.ForkMany(2));
  CHECK(forks.size() == 2);
  for (auto& one : forks) CHECK(Must(Must(std::move(one)).ReadFile("kept")) == "before");
  forks.clear();
  Must(sandbox.WriteFile("kept", "after"));
  CHECK(Must(fork.ReadFile("kept")) == "before");
  Must(sandbox.Restore(snapshot));
  CHECK(Must(sandbox.ReadFile("kept")) == "before");
  Must(sandbox.DeleteSnapshot(snapshot));

  std::string state;
  CHECK(Must(sandbox.Export([&](std::string_view bytes) {
          state += bytes;
          return cordon::Status();
        })).digest.starts_with("sha256:"));
  cordon::Sandbox other = Must(client.Create());
  bool was_given = false;
  (void)Must(other.Import([&]() -> cordon::Result<std::string> {
    return std::exchange(was_given, true) ? std::string() : state;
  }));
  CHECK(Must(other.Run("echo $COLOUR; cat ~/kept")).out == "it's blue\nbefore");
  CHECK(Must(client.List()).size() == 3);
  CHECK(Must(client.GetTotalUsage()).sandboxes == 3);
  CHECK(Must(client.ListSaved()).empty());
  CHECK(client.DeleteSaved("none").error().system_errno == ENOENT);
  CHECK(Must(other.GetUsage()).processes >= 1);
  Must(other.Destroy());
  const auto gone = other.Run("true");
  CHECK(!gone && gone.error().message == "Sandbox has been destroyed");
}

}  // namespace

int main() {
  CHECK(!cordon::Client::Start("/nowhere/cordon"));
  CHECK(!cordon::Client::Connect("/nowhere/socket"));
  cordon::Client client = Must(cordon::Client::Start());
  cordon::Sandbox sandbox = Must(client.Create({.env = {{"GREETING", "hello"}}}));
  Commands(sandbox);
  Processes(sandbox);
  Files(sandbox);
  States(client, sandbox);
  (void)puts("all of it");
}
