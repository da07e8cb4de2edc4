#include "net/client_check.h"

#include <gtest/gtest.h>

#include <string_view>

namespace cordon::net {
namespace {

using State = ClientCheck::State;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string Ready(const ClientCheck& check) {
  return {check.ready().begin(), check.ready().end()};
}

TEST(ClientCheck, AtTheWebsPortsOnlyTlsAndHttp) {
  ClientCheck check({"good.example"}, 443);
  EXPECT_EQ(check.Look(Bytes("SSH-2.0-OpenSSH_9.2p1 Debian\r\n")), State::kRefuse);
  EXPECT_EQ(check.reason(), "a request line that is none");
}

TEST(ClientCheck, OtherProtocolsAtOtherPortsDoNotWait) {
  for (const std::string_view said :
       {"ruok", "x", "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "EHLO me\r\n", "a1 LOGIN x y\r\n",
        "PING\r\n", "*1\r\n$4\r\nPING\r\n", "GET key\r\n", "\x16\x01", "EHLO home.example\r\n",
        "USER henry\r\n", "NICK *\r\n", "{\"url\": \"HTTP/1\"}\n",
        "0032git-upload-pack /project.git", "OPTIONS rtsp://a RTSP/1.0\r\n"}) {
    ClientCheck check({"good.example"}, 7000);
    EXPECT_EQ(check.Look(Bytes(said)), State::kSend) << said;
    EXPECT_EQ(Ready(check), said);
  }
}

TEST(ClientCheck, HttpIsSeenAtOtherPortsHoweverItIsCut) {
  const std::string evil = "FOO / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
  for (size_t cut = 1; cut < evil.size(); ++cut) {
    ClientCheck check({"good.example"}, 7000);
    std::string sent;
    State state = check.Look(Bytes(evil).first(cut));
    if (state == State::kSend) sent += Ready(check);
    if (state != State::kRefuse) state = check.Look(Bytes(evil).subspan(cut));
    EXPECT_EQ(state, State::kRefuse) << cut;
    EXPECT_LT(sent.size(), std::string_view("FOO / HTTP/").size()) << cut;
    EXPECT_EQ(check.asked(), "evil.example");
  }
}

// Each is a request to some server or other.
TEST(ClientCheck, HttpIsSeenAtOtherPortsHoweverItIsWritten) {
  for (const std::string_view line :
       {"GET  / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET\r/\rHTTP/1.1", "GET\xa0/\xa0HTTP/1.1",
        "GET\x1f/\x1fHTTP/1.1", "\r\nGET / HTTP/1.1", "\nGET / HTTP/1.1", " GET / HTTP/1.1",
        "GET x/ HTTP/1.1", "GET ftp://evil.example/ HTTP/1.1", "GET / http/1.1", "GET /",
        "get http://evil.example/", "GET HTTP://evil.example/", "PRI * HTTP/2.0",
        "CONNECT evil.example:80 HTTP/1.1"}) {
    ClientCheck check({"good.example"}, 7000);
    const std::string said = std::string(line) + "\r\nHost: evil.example\r\n\r\n";
    State state = State::kSend;
    for (size_t i = 0; i < said.size() && state != State::kRefuse; ++i) {
      state = check.Look(Bytes(said).subspan(i, 1));
    }
    EXPECT_EQ(state, State::kRefuse) << line;
  }
  ClientCheck check({"good.example"}, 7000);
  EXPECT_EQ(check.Look(Bytes(std::string(20000, '\n'))), State::kRefuse);
}

TEST(ClientCheck, EveryByteOfAGoodRequestArrivesOnce) {
  const std::string good =
      "GET / HTTP/1.1\r\nHost: good.example\r\n\r\nGET /b HTTP/1.1\r\nHost: "
      "good.example\r\n\r\n";
  for (const uint16_t port : {80, 7000}) {
    ClientCheck check({"good.example"}, port);
    std::string sent;
    for (const char letter : good) {
      const State state = check.Look(Bytes({&letter, 1}));
      ASSERT_NE(state, State::kRefuse) << check.reason();
      if (state == State::kSend) sent += Ready(check);
    }
    EXPECT_EQ(sent, good);
    EXPECT_FALSE(check.is_over());
  }
}

}  // namespace
}  // namespace cordon::net
