#include "rpc/server.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>
#include <vector>

#include "rpc/audit.h"
#include "rpc/autosave.h"
#include "rpc/client.h"
#include "rpc/extensions.h"
#include "rpc/packages.h"
#include "rpc/unix_listener.h"

namespace cordon::rpc {
namespace {

// Whoever ends the daemon waits for saves no longer than this.
constexpr std::chrono::seconds kSaveTime{10};

// Only this user may connect; root may use everybody's things anyway.
bool IsOwnUser(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

}  // namespace

Server::Server(ServerOptions options)
    : options_(std::move(options)),
      signals_(loop_),
      quota_(options_.total,
             [this](const SandboxLink& link, const char* limit) { AuditTotal(link, limit); }),
      pool_(loop_, options_.pool, quota_) {}

void Server::AuditTotal(const SandboxLink& link, const char* limit) {
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox->link.get() == &link) Audit(*sandbox, "limit.exceeded", {{"limit", limit}});
  }
}

void Server::WatchSignals() {
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) signals_.add(number);
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGCHLD) return loop_.stop();
    ReapKeepers();
    WatchSignals();
  });
}

void Server::ReapKeepers() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Server::Run() {
  // Keepers of forks and family processes whose keepers are gone.
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  (void)signal(SIGPIPE, SIG_IGN);
  loop_.run();
  FinishSaves();
  for (const auto& client : std::exchange(clients_, {})) client->Close();
  for (const auto& [id, sandbox] : std::exchange(sandboxes_, {})) sandbox->link->Close();
  // Whose last save took too long.
  for (const auto& sandbox : std::exchange(ending_, {})) sandbox->link->Close();
  pool_.Close();
  workers_.End();
  // Every keeper has seen the end of its socket.
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

// Of persistent sandboxes whose clients or daemon end.
void Server::FinishSaves() {
  const auto deadline = std::chrono::steady_clock::now() + kSaveTime;
  for (const auto& [id, sandbox] : std::map(sandboxes_)) {
    if (sandbox->autosave) Forget(sandbox);
  }
  loop_.restart();
  while (!ending_.empty() && std::chrono::steady_clock::now() < deadline) {
    (void)loop_.run_one_until(deadline);
  }
}

Status Server::ServeStdio() try {
  is_stdio_ = true;
  WatchSignals();
  OwnedFd input(dup(STDIN_FILENO));
  OwnedFd output(dup(STDOUT_FILENO));
  if (!input.valid() || !output.valid()) return SystemError("dup");
  const auto client = std::make_shared<Client>(*this, std::move(input), std::move(output));
  clients_.insert(client);
  client->Start();
  Run();
  return {};
} catch (const boost::system::system_error& error) {
  return Fail(ErrorCode::kInvalid,
              std::string("standard input and output must be pipes or sockets: ") + error.what());
}

Status Server::ServeUnix(const std::string& path) try {
  // From the moment at which its name is there, it is taken away at the end.
  WatchSignals();
  Result<OwnedFd> listener = ListenAt(path);
  if (!listener) return std::unexpected(listener.error());
  acceptor_ = std::make_unique<asio::local::stream_protocol::acceptor>(
      loop_, asio::local::stream_protocol(), listener->release());
  Accept();
  Run();
  (void)unlink(path.c_str());
  return {};
} catch (const boost::system::system_error& error) {
  return Fail(ErrorCode::kSystem, error.what(), path);
}

void Server::Accept() {
  acceptor_->async_accept([this](const boost::system::error_code& error,
                                 asio::local::stream_protocol::socket socket) {
    // Without descriptors left, the next client waits until somebody goes.
    if (error == boost::system::errc::operation_canceled) return;
    if (!error) {
      OwnedFd input(socket.release());
      OwnedFd output(IsOwnUser(input.get()) ? dup(input.get()) : -1);
      if (output.valid()) {
        const auto client = std::make_shared<Client>(*this, std::move(input), std::move(output));
        clients_.insert(client);
        client->Start();
      }
    }
    Accept();
  });
}

void Server::Forget(const std::shared_ptr<Sandbox>& sandbox,
                    const std::function<void(const std::string& error)>& then) {
  sandboxes_.erase(sandbox->id);
  // The next one is the first then.
  if (const std::shared_ptr<Client> owner = sandbox->owner.lock();
      owner && owner->first_sandbox == sandbox->id) {
    owner->first_sandbox.clear();
  }
  const auto end = [this, sandbox, then](const std::string& error) {
    Json details = Json::object();
    const bool ended_itself = sandbox->presence == Presence::kHere && sandbox->link->closed();
    if (ended_itself) details["reason"] = sandbox->link->end_reason();
    // Whoever hears of the end forgets it once more.
    const bool was_there = std::exchange(sandbox->is_there, false);
    sandbox->link->Close();
    ending_.erase(sandbox);
    if (was_there) Audit(*sandbox, "sandbox.destroy", std::move(details));
    pool_.MakeRoom();
    if (!then) return;
    // Its namespace is free when it is told that it is.
    if (sandbox->can_be_saved) return sandbox->link->WhenGone([then, error] { then(error); });
    then(error);
  };
  if (!sandbox->autosave || sandbox->link->closed()) return end({});
  ending_.insert(sandbox);
  // One that stands still cannot say what its session knows.
  sandbox->link->Ask({live::Kind::kResume, 0, {}, {}}, [](const live::Frame&) { return true; });
  sandbox->autosave->Finish(end);
}

void Server::Leave(Client& client) {
  const auto held = client.shared_from_this();
  clients_.erase(held);
  client.Close();
  for (const auto& [id, sandbox] : std::map(sandboxes_)) {
    if (!sandbox->detached && sandbox->owner.lock() == held) {
      Forget(sandbox);
      continue;
    }
    // Nobody has its state.
    if (sandbox->presence == Presence::kLeaving && sandbox->leaves_for.lock() == held) {
      sandbox->presence = Presence::kHere;
    }
    if (sandbox->extensions) sandbox->extensions->Leave(client);
    if (sandbox->packages) {
      sandbox->packages->GiveUp([&](const Asker& asker) { return asker.client == &client; });
    }
    for (const auto& [run, running] : sandbox->running) {
      if (running.client == &client) sandbox->link->Tell({live::Kind::kCancel, run, {}, {}});
    }
  }
  if (is_stdio_) loop_.stop();
}

}  // namespace cordon::rpc
