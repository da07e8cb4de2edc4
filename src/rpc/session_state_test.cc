#include "rpc/session_state.h"

#include <gtest/gtest.h>

namespace cordon::rpc {
namespace {

std::string Joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += part + '\0';
  return text;
}

TEST(SessionStateTest, ReadsWhatTheShellSaid) {
  const auto state = ReadCapture(
      Joined({"/tmp/it's", "declare -- x=\"\xff\"\n", "f () \n{ :; }\n", "alias a='b'\n",
              "umask 0022\n", "", "set +o errexit\n", "B=2", "_=/usr/bin/env", "A=1", ""}) +
      "of a trap\n");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->directory, "/tmp/it's");
  EXPECT_EQ(state->environment, (std::vector<std::string>{"A=1", "B=2"}));
  const std::string script = RestoreScript(state->session);
  EXPECT_NE(script.find("declare -- x=\"\xff\"\n"), std::string::npos);
  EXPECT_NE(script.find("__cordon_builtin cd -- '/tmp/it'\\''s'\n"), std::string::npos);
  EXPECT_LT(script.find("f () "), script.find("alias a="));
  EXPECT_LT(script.find("alias a="), script.find("set +o errexit"));
}

TEST(SessionStateTest, RefusesWhatIsNoAnswer) {
  EXPECT_FALSE(ReadCapture(""));
  EXPECT_FALSE(ReadCapture("no zero"));
  EXPECT_FALSE(ReadCapture(Joined({"/tmp", "", ""})));
  const std::initializer_list<std::string> cut = {"/tmp", "", "", "", "", "", "", "A=1"};
  EXPECT_FALSE(ReadCapture(Joined(cut)));
  EXPECT_TRUE(ReadCapture(Joined(cut) + '\0'));
}

TEST(SessionStateTest, TakesNothingFromWhatIsNoText) {
  const std::string empty = RestoreScript(Json::object());
  EXPECT_EQ(RestoreScript({{"variables", 5}, {"directory", Json::array()}}), empty);
  EXPECT_EQ(RestoreScript(Json()), empty);
  EXPECT_EQ(RestoreScript({{"variablesBase64", "?"}}), empty);
  EXPECT_EQ(empty.find("cd"), std::string::npos);
}

TEST(SessionStateTest, CommandsOfAStateAreBuiltins) {
  const std::string script = RestoreScript(
      {{"traps", "trap -- 'a'\\''\ntrap' EXIT\ntrap -- '' INT\n"}, {"aliases", "alias x='\ny'\n"}});
  EXPECT_NE(script.find("\n\\__cordon_builtin trap -- 'a'\\''\ntrap' EXIT\n"
                        "\\__cordon_builtin trap -- '' INT\n"),
            std::string::npos);
  EXPECT_NE(script.find("\n\\__cordon_builtin alias x='\ny'\n"), std::string::npos);
}

TEST(SessionStateTest, LeavesOutOptionsThatAreFixed) {
  const std::string script = RestoreScript(
      {{"options", "shopt -u login_shell\nshopt -s extglob\nshopt -u restricted_shell\n"}});
  EXPECT_EQ(script.find("login_shell"), std::string::npos);
  EXPECT_EQ(script.find("restricted_shell"), std::string::npos);
  EXPECT_NE(script.find("shopt -s extglob\n"), std::string::npos);
}

TEST(SessionStateTest, WhatHasAShellSayWhatItDoesComesLast) {
  const std::string script =
      RestoreScript({{"options", "set -o verbose\nset -o xtrace\nset +o vi\n"}});
  EXPECT_TRUE(
      script.ends_with("set +o vi\n\\__cordon_builtin true; "
                       "\\__cordon_builtin set -o verbose; \\__cordon_builtin set -o xtrace\n"));
}

}  // namespace
}  // namespace cordon::rpc
