#include "rpc/audit.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "rpc/client.h"

namespace cordon::rpc {
namespace {

// A client whose other end is `theirs`.
struct Listening {
  Server server{ServerOptions{}};
  OwnedFd theirs;
  std::shared_ptr<Client> client;
  Sandbox sandbox;

  Listening() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    theirs.reset(ends[0]);
    OwnedFd output(dup(ends[1]));
    client = std::make_shared<Client>(server, OwnedFd(ends[1]), std::move(output));
    sandbox.id = "one";
    sandbox.owner = client;
    sandbox.is_audited = true;
  }

  std::string Take() {
    server.loop().restart();
    server.loop().poll();
    std::string text(1 << 20, '\0');
    const ssize_t got = recv(theirs.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }
};

TEST(AuditTest, SaysWhatHappened) {
  Listening at;
  Audit(at.sandbox, "command.start", {{"command", "true"}});
  const Json message = Json::parse(at.Take());
  EXPECT_EQ(message["method"], "audit");
  EXPECT_EQ(message["params"]["type"], "command.start");
  EXPECT_EQ(message["params"]["sessionId"], "one");
  EXPECT_EQ(message["params"]["command"], "true");
  EXPECT_TRUE(message["params"]["timestamp"].is_number());
}

TEST(AuditTest, IsSilentWhereNobodyAsked) {
  Listening at;
  at.sandbox.is_audited = false;
  Audit(at.sandbox, "command.start");
  EXPECT_EQ(at.Take(), "");
  at.sandbox.is_audited = true;
  at.client.reset();
  Audit(at.sandbox, "command.start");
}

TEST(AuditTest, AClientThatTakesNothingLosesEventsAndHearsHowMany) {
  Listening at;
  constexpr uint64_t kMany = 100'000;
  const std::string text(1000, 'x');
  for (uint64_t i = 0; i < kMany; ++i) Audit(at.sandbox, "command.start", {{"command", text}});
  const uint64_t missed = at.sandbox.missed_events;
  EXPECT_GT(missed, kMany / 2);
  EXPECT_TRUE(at.client->IsBehind());
  std::string all;
  for (std::string piece = at.Take(); !piece.empty(); piece = at.Take()) all += piece;
  EXPECT_FALSE(at.client->IsBehind());
  Audit(at.sandbox, "command.start");
  const Json last = Json::parse(at.Take());
  EXPECT_EQ(last["params"]["missed"], missed);
  EXPECT_EQ(static_cast<uint64_t>(std::count(all.begin(), all.end(), '\n')), kMany - missed);
}

TEST(AuditTest, KeepsTextShortAndWhole) {
  EXPECT_EQ(AuditText("short"), "short");
  const std::string text = AuditText(std::string(1023, 'a') + "ä" + std::string(100, 'b'));
  EXPECT_EQ(text, std::string(1023, 'a') + "…");
}

}  // namespace
}  // namespace cordon::rpc
