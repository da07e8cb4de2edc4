#include "rpc/extension_text.h"

#include <gtest/gtest.h>

namespace cordon::rpc {
namespace {

const std::map<std::string, ExtensionFacts>& Known() {
  static const std::map<std::string, ExtensionFacts> known = {
      {"qr", {"qr", "draws a code", "qr TEXT", "images", {"qr hello"}, {}, {}}},
      {"to-json", {"to-json", "reads tables", {}, "data", {}, "1.2", "the same, as a module"}},
  };
  return known;
}

TEST(ExtensionsCommand, Lists) {
  EXPECT_EQ(ExtensionsCommand({"list"}, Known()).output,
            "qr       draws a code [images]\nto-json  reads tables [data]\n");
  EXPECT_EQ(ExtensionsCommand({"list", "--category", "data"}, Known()).output,
            "to-json  reads tables [data]\n");
  EXPECT_EQ(ExtensionsCommand({"list", "--category=none"}, Known()).output, "");
  EXPECT_EQ(ExtensionsCommand({"list"}, {}).status, 0U);
  const Json list = Json::parse(ExtensionsCommand({"list", "--json"}, Known()).output);
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["examples"], Json({"qr hello"}));
  EXPECT_EQ(list[1]["pythonPackage"]["name"], "to_json");
}

TEST(ExtensionsCommand, SaysAllOfOne) {
  EXPECT_EQ(ExtensionsCommand({"info", "qr"}, Known()).output,
            "Name: qr\nDescription: draws a code\nCategory: images\nUsage: qr TEXT\nExamples:\n"
            "  qr hello\n");
  EXPECT_EQ(ExtensionsCommand({"info", "to-json"}, Known()).output,
            "Name: to-json\nDescription: reads tables\nCategory: data\n"
            "Python package: to_json 1.2\nSummary: the same, as a module\n");
}

TEST(ExtensionsCommand, RefusesWhatItDoesNotKnow) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"what"},
                                             {"list", "--categories"},
                                             {"list", "--category"},
                                             {"info"},
                                             {"info", "no"},
                                             {"info", "qr", "to-json"}}) {
    const CommandOutput said = ExtensionsCommand(arguments, Known());
    EXPECT_EQ(said.status, 1U);
    EXPECT_EQ(said.output, "");
    EXPECT_NE(said.error, "");
  }
}

}  // namespace
}  // namespace cordon::rpc
