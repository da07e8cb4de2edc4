#include "net/http_watch.h"

#include <gtest/gtest.h>

namespace cordon::net {
namespace {

using namespace std::string_literals;

HttpWatch Watch() {
  return HttpWatch([](const std::string& name) { return name == "good.example"; });
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: good.example\r\nAccept: */*\r\n\r\n";

// What is passed of the whole text, and the error.
std::string Error(const std::string& text) {
  HttpWatch watch = Watch();
  (void)watch.Pass(text);
  return watch.error();
}

TEST(HttpWatch, RequestsOneAfterTheOther) {
  const std::string texts[] = {
      kGet + kGet,
      "POST /a HTTP/1.1\r\nhost:good.example:80\r\nContent-Length: 3\r\n\r\nabc" + kGet,
      "POST /a HTTP/1.1\r\nHost: GOOD.example.\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" +
          kGet,
      "GET http://good.example/a HTTP/1.1\r\nHost: good.example\r\n\r\n",
      "OPTIONS * HTTP/1.0\r\nHost: good.example\r\n\r\n"};
  for (const std::string& text : texts) {
    HttpWatch watch = Watch();
    EXPECT_EQ(watch.Pass(text), text.size()) << text;
    EXPECT_EQ(watch.error(), "");
    // The same in pieces of one byte.
    HttpWatch slow = Watch();
    std::string held;
    size_t passed = 0;
    for (const char letter : text) {
      held += letter;
      const size_t size = slow.Pass(held);
      held.erase(0, size);
      passed += size;
    }
    EXPECT_EQ(passed, text.size()) << slow.error();
  }
}

TEST(HttpWatch, NothingOfARequestGoesBeforeItIsRead) {
  HttpWatch watch = Watch();
  EXPECT_EQ(watch.Pass(kGet.substr(0, kGet.size() - 1)), 0U);
  EXPECT_EQ(watch.Pass(kGet + kGet.substr(0, 20)), kGet.size());
}

TEST(HttpWatch, AnotherHostInAnyRequest) {
  const std::string evil = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
  EXPECT_EQ(Error(evil), "a request for another host");
  EXPECT_EQ(Error(kGet + evil), "a request for another host");
  EXPECT_EQ(Error("POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 1\r\n\r\nx" + evil),
            "a request for another host");
  EXPECT_EQ(Error("POST / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "0\r\n\r\n" +
                  evil),
            "a request for another host");
}

TEST(HttpWatch, WhatServersReadInTwoWays) {
  const std::string start = "POST / HTTP/1.1\r\nHost: good.example\r\n";
  const std::string bad[] = {
      "POST / HTTP/1.1\r\nAccept: x\r\n\r\n",
      start + "Host: evil.example\r\n\r\n",
      start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
      start + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      start + "Content-Length: +1\r\n\r\n",
      start + "Content-Length: 1, 1\r\n\r\n",
      start + "Content-Length: 99999999999999999999\r\n\r\n",
      start + "Transfer-Encoding: chunked, identity\r\n\r\n",
      start + "Transfer-Encoding: \x0b" + "chunked\r\n\r\n",
      start + "Transfer-Encoding : chunked\r\n\r\n",
      start + " folded: x\r\n\r\n",
      start + "X: a\rb\r\n\r\n",
      start + "X: a\nHost: evil.example\r\n\r\n",
      start + "X: a\0b\r\n\r\n"s,
      start + "no colon\r\n\r\n",
      start + "Upgrade: h2c\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n0x1\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
      "\r\n" + kGet,
      "GET  / HTTP/1.1\r\nHost: good.example\r\n\r\n",
      "GET / HTTP/1.1 \r\nHost: good.example\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: good.example\r\n\r\n",
      "GET /\r\n\r\n",
      "GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
      "GET http://x@good.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
      "CONNECT good.example:443 HTTP/1.1\r\nHost: good.example\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: good.example, evil.example\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: evil.example\0.good.example\r\n\r\n"s,
      "GET / HTTP/1.1\r\nHost: good.example:x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost:\r\n\r\n",
      "POST / HTTP/1.0\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      std::string(70000, 'a'),
      "GET / HTTP/1.1\r\n" + std::string(70000, 'a'),
  };
  for (const std::string& text : bad) EXPECT_NE(Error(text), "") << text.substr(0, 100);
}

}  // namespace
}  // namespace cordon::net
