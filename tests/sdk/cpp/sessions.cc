// What is asked of a session beside its commands, what is told of it, and how it comes and goes.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace {

using cordon::AuditEvent;
using cordon::FileEvent;

// What handlers hear, for another thread.
template <typename Event>
class Heard {
 public:
  void Add(const Event& event) {
    const std::scoped_lock guard(lock_);
    events_.push_back(event);
  }
  [[nodiscard]] std::vector<Event> all() {
    const std::scoped_lock guard(lock_);
    return events_;
  }

 private:
  std::mutex lock_;
  std::vector<Event> events_;
};

void History(cordon::Sandbox& sandbox) {
  (void)Must(sandbox.Run("echo one"));
  (void)Must(sandbox.Run("echo two"));
  const auto entries = Must(sandbox.History());
  CHECK(entries.size() == 2 && entries[0].command == "echo one" &&
        entries[1].command == "echo two");
  CHECK(entries[1].index == entries[0].index + 1 && entries[0].started_ms > 1'600'000'000'000);
  Must(sandbox.ClearHistory());
  CHECK(Must(sandbox.History()).empty());
}

void WatchedFiles(cordon::Sandbox& sandbox) {
  Must(sandbox.MakeDirectory("/tmp/w/below"));
  Heard<FileEvent> heard;
  const auto has = [&](FileEvent::Type type, const std::string& path) {
    for (const FileEvent& event : heard.all()) {
      if (event.type == type && event.path == path) return true;
    }
    return false;
  };
  cordon::Watch watch = Must(sandbox.WatchFiles(
      "/tmp/w", [&](const FileEvent& event) { heard.Add(event); }, {.recursive = true}));
  Must(sandbox.WriteFile("/tmp/w/a", "1"));
  Must(sandbox.WriteFile("/tmp/w/below/b", "1"));
  Until([&] {
    return has(FileEvent::Type::kCreated, "/tmp/w/a") &&
           has(FileEvent::Type::kCreated, "/tmp/w/below/b");
  });
  Must(sandbox.AppendFile("/tmp/w/a", "2"));
  Until([&] { return has(FileEvent::Type::kChanged, "/tmp/w/a"); });
  Must(sandbox.Remove("/tmp/w/a"));
  Until([&] { return has(FileEvent::Type::kRemoved, "/tmp/w/a"); });
  Must(watch.Stop());
  const size_t told = heard.all().size();
  Must(sandbox.WriteFile("/tmp/w/later", "1"));
  // Events of another watch of the same directory come as late as those of this one would.
  Heard<FileEvent> others;
  cordon::Watch other =
      Must(sandbox.WatchFiles("/tmp/w", [&](const FileEvent& event) { others.Add(event); }));
  Must(sandbox.WriteFile("/tmp/w/last", "1"));
  Until([&] { return !others.all().empty(); });
  CHECK(heard.all().size() == told);
  CHECK(!sandbox.WatchFiles("/no/such", [](const FileEvent&) {}));
}

void StandStill(cordon::Client& client, cordon::Sandbox& sandbox) {
  Must(sandbox.Suspend());
  std::atomic<bool> was_resumed = false;
  std::thread asks([&] {
    cordon::ExecOptions options;
    options.timeout_ms = 60'000;
    CHECK(Must(sandbox.Exec({"echo", "goes on"}, options)).out == "goes on\n");
    CHECK(was_resumed);
  });
  // The daemon answers others meanwhile: long enough for an echo.
  for (int i = 0; i < 1000; ++i) (void)Must(client.GetVersion());
  was_resumed = true;
  Must(sandbox.Resume());
  asks.join();
}

// One command of several is stopped, from a handler, from another thread, and before it began.
void Stopped(cordon::Sandbox& sandbox) {
  std::stop_source stop;
  cordon::ExecOptions options;
  options.stop = stop.get_token();
  options.on_output = [&](cordon::Stream, std::string_view) { stop.request_stop(); };
  std::thread other([&] {
    const auto done = Must(sandbox.Exec({"sh", "-c", "sleep 1; echo whole"}));
    CHECK(done.exit_code == 0 && done.out == "whole\n");
  });
  CHECK(Must(sandbox.Exec({"sh", "-c", "echo begun; sleep 100"}, options)).error_class ==
        "CANCELLED");
  other.join();
  CHECK(Must(sandbox.Run("sleep 100", options)).error_class == "CANCELLED");
  options.stop = {};
  CHECK(Must(sandbox.Run("echo goes on")).out == "goes on\n");
}

void Away(cordon::Sandbox& sandbox) {
  (void)Must(sandbox.Run("x=kept; echo file >~/kept"));
  // Who cannot keep it has it as before.
  const auto failed = sandbox.Offload([](std::string_view) {
    return cordon::Status(cordon::Fail(cordon::ErrorCode::kLimit, "full"));
  });
  CHECK(!failed && failed.error().message == "full");
  CHECK(Must(sandbox.Run("echo $x")).out == "kept\n");
  std::string state;
  CHECK(Must(sandbox.Offload([&](std::string_view bytes) {
          state += bytes;
          return cordon::Status();
        })).digest.starts_with("sha256:"));
  CHECK(!sandbox.Run("true"));
  bool was_given = false;
  const auto source = [&]() -> cordon::Result<std::string> {
    return std::exchange(was_given, true) ? std::string() : state;
  };
  (void)Must(sandbox.Rehydrate(source));
  CHECK(Must(sandbox.Run("echo $x; cat ~/kept")).out == "kept\nfile\n");
}

void Events(cordon::Client& client) {
  Heard<AuditEvent> heard;
  cordon::CreateOptions options;
  options.tools = {{"cat", "sh"}};
  options.limits.stdout_bytes = 1000;
  options.on_audit_event = [&](const AuditEvent& event) { heard.Add(event); };
  const auto find = [&](const std::string& type, const std::string& sandbox) {
    for (const AuditEvent& event : heard.all()) {
      if (event.type == type && event.sandbox == sandbox) return event;
    }
    return AuditEvent{};
  };
  cordon::Sandbox sandbox = Must(client.Create(options));
  CHECK(Must(sandbox.Run("sort /etc/passwd")).error_class == "CAPABILITY_DENIED");
  CHECK(find("sandbox.create", sandbox.id()).timestamp_ms > 1'600'000'000'000);
  CHECK(find("command.start", sandbox.id()).command == "sort /etc/passwd");
  const AuditEvent denied = find("capability.denied", sandbox.id());
  CHECK(denied.capability == "tool" && denied.tool == "sort" && denied.request);
  const AuditEvent complete = find("command.complete", sandbox.id());
  CHECK(complete.exit_code == 126 && complete.usage && complete.request == denied.request);
  (void)Must(sandbox.Run("for i in {1..1000}; do echo $i; done"));
  CHECK(find("limit.exceeded", sandbox.id()).limit == "stdoutBytes");
  // Forks are told of as well, from their first moment.
  cordon::Sandbox fork = Must(sandbox.Fork());
  (void)Must(fork.Run("echo fork"));
  CHECK(find("sandbox.create", fork.id()).fork_of == sandbox.id());
  CHECK(find("command.complete", fork.id()).exit_code == 0);
  const std::string id = fork.id();
  Must(fork.Destroy());
  CHECK(find("sandbox.destroy", id).type == "sandbox.destroy");
}

void Saved(cordon::Client& client) {
  cordon::CreateOptions options;
  options.persistence = {.mode = cordon::Persistence::Mode::kPersistent, .name = "cpp"};
  {
    cordon::Sandbox sandbox = Must(client.Create(options));
    CHECK(!sandbox.loaded());
    (void)Must(sandbox.Run("echo saved >~/f"));
    Must(sandbox.Destroy());
  }
  cordon::Sandbox again = Must(client.Create(options));
  CHECK(again.loaded() && again.skipped().empty());
  CHECK(Must(again.ReadFile("f")) == "saved\n");
  Must(again.Destroy());
  options.persistence->mode = cordon::Persistence::Mode::kSession;
  cordon::Sandbox session = Must(client.Create(options));
  CHECK(Must(session.Load())->entries >= 1);
  Must(session.WriteFile("f", "changed"));
  CHECK(Must(session.Save()) && !Must(session.Save()));
  CHECK(Must(client.ListSaved()).size() == 1);
  Must(session.ClearSaved());
  CHECK(!Must(session.Load()));
}

void Others(cordon::Client& client) {
  CHECK(Must(client.GetVersion()).protocol >= 1);
  Must(client.FillPool({.label = "warm"}, {.size = 1, .most = 20}));
  cordon::CreateOptions options;
  options.label = "warm";
  options.python_path = {"/tmp/a", "/tmp/b"};
  cordon::Sandbox sandbox = Must(client.Create(options));
  CHECK(Must(sandbox.Run("echo $PYTHONPATH")).out == "/tmp/a:/tmp/b\n");
  CHECK(Must(sandbox.Exists("/tmp")) && !Must(sandbox.Exists("/no/such")));
  (void)Must(sandbox.Snapshot("named"));
  const auto snapshots = Must(sandbox.Snapshots());
  CHECK(snapshots.size() == 1 && snapshots[0].id == "named");
  CHECK(snapshots[0].created_ms > 1'600'000'000'000);
  const auto huge = client.Create({.limits = {.rpc_bytes = -1}});
  CHECK(!huge && huge.error().message.find("rpcBytes") != std::string::npos);
  Must(client.Kill());
  CHECK(!sandbox.Run("true"));
}

}  // namespace

int main() {
  cordon::Client client = Must(cordon::Client::Start());
  cordon::Sandbox sandbox = Must(client.Create());
  History(sandbox);
  WatchedFiles(sandbox);
  StandStill(client, sandbox);
  Stopped(sandbox);
  Away(sandbox);
  Events(client);
  Saved(client);
  Others(client);
  (void)puts("all of it");
}
