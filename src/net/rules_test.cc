#include "net/rules.h"

#include <gtest/gtest.h>

namespace cordon::net {
namespace {

using Action = Verdict::Action;

struct Grant {
  const char* rule;
  bool may_be_private = false;
};

Rules Make(std::initializer_list<Grant> grants,
           policy::NetworkMode mode = policy::NetworkMode::kList) {
  policy::NetworkPlan plan;
  plan.mode = mode;
  for (const Grant& grant : grants) {
    plan.allow.push_back(
        {*policy::ParseHostRule(grant.rule), grant.may_be_private, policy::Origin::kUser, "test"});
  }
  return Rules(std::move(plan));
}

Verdict Judge(const Rules& rules, const char* address, uint16_t port,
              std::vector<std::string> names = {}, Transport transport = Transport::kTcp,
              Whose whose = Whose::kOther) {
  return rules.JudgeFlow({transport, {}, {*ParseAddress(address), port}, std::move(names)}, whose);
}

TEST(Rules, NamesAreWholeNames) {
  const Rules rules = Make({{"good.example"}, {"*.wild.example:8443"}});
  EXPECT_EQ(rules.JudgeName("good.example").action, Action::kRelay);
  EXPECT_EQ(rules.JudgeName("a.b.wild.example").rule, "*.wild.example:8443");
  for (const char* name :
       {"evil.example", "notgood.example", "good.example.evil.example", "a.good.example",
        "wild.example", "xwild.example", "", "evil.example\\000.good.example"}) {
    EXPECT_EQ(rules.JudgeName(name).action, Action::kRefuse) << name;
  }
}

TEST(Rules, ANameIsCheckedAtItsPorts) {
  const Rules rules = Make({{"good.example"}, {"*.wild.example:8443"}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {"good.example"}).action, Action::kCheck);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 80, {"good.example"}).rule, "good.example");
  EXPECT_EQ(Judge(rules, "8.8.8.8", 22, {"good.example"}).reason, "no rule allows port 22");
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {"x.wild.example"}).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 8443, {"x.wild.example"}).action, Action::kCheck);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 0, {"good.example"}).action, Action::kRefuse);
}

TEST(Rules, OnlyTheAllowedNamesOfAnAddressAreThere) {
  const Rules rules = Make({{"a.example"}, {"b.example:22"}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {"a.example", "b.example", "c.example"}).names,
            std::vector<std::string>{"a.example"});
}

TEST(Rules, AddressesWithoutANameAreRefused) {
  const Rules rules = Make({{"good.example"}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443).reason, "an address that no allowed name has");
}

TEST(Rules, PrivateNamesNeedARuleThatSaysSo) {
  const Rules rules = Make({{"good.example"}, {"intern.example", true}});
  const Address ordinary = *ParseAddress("8.8.8.8");
  EXPECT_EQ(rules.JudgePin("good.example", ordinary, Whose::kOther).action, Action::kRelay);
  EXPECT_EQ(rules.JudgePin("good.example", ordinary, Whose::kThisMachine).action, Action::kRefuse);
  for (const char* text : {"127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1",
                           "64:ff9b::a00:1", "2002:a00:1::"}) {
    const Address address = *ParseAddress(text);
    EXPECT_EQ(rules.JudgePin("good.example", address, Whose::kOther).action, Action::kRefuse);
    EXPECT_EQ(rules.JudgePin("intern.example", address, Whose::kOther).action, Action::kRelay);
    EXPECT_EQ(Judge(rules, text, 443, {"good.example"}).action, Action::kRefuse) << text;
    EXPECT_EQ(Judge(rules, text, 443, {"intern.example"}).action, Action::kCheck) << text;
  }
}

// Whoever answers for the name would choose it: a cloud's credentials are one request away.
TEST(Rules, NoNameLeadsToAMetadataServiceOrTheLink) {
  const Rules rules = Make({{"intern.example", true}});
  for (const char* text :
       {"169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "100.100.100.200",
        "fd00:ec2::254", "fd20:ce::254", "0.0.0.0", "fe80::1", "224.0.0.251", "255.255.255.255",
        "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254"}) {
    EXPECT_EQ(rules.JudgePin("intern.example", *ParseAddress(text), Whose::kOther).action,
              Action::kRefuse)
        << text;
    EXPECT_EQ(Judge(rules, text, 80, {"intern.example"}).action, Action::kRefuse) << text;
  }
  const Rules both = Make({{"intern.example", true}, {"169.254.169.254", true}});
  const Address metadata = *ParseAddress("169.254.169.254");
  EXPECT_EQ(both.JudgePin("intern.example", metadata, Whose::kOther).action, Action::kRelay);
}

TEST(Rules, AddressRulesAreRaw) {
  const Rules rules = Make({{"8.8.8.0/24", true}, {"10.0.0.0/8:5432", true}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "8.8.9.8", 443).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 22).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "10.1.2.3", 5432).rule, "10.0.0.0/8:5432");
  EXPECT_EQ(Judge(rules, "::ffff:10.1.2.3", 5432).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "10.1.2.3", 443).action, Action::kRefuse);
}

TEST(Rules, AWideRuleDoesNotMeanWhatIsPrivate) {
  const Rules rules = Make({{"0.0.0.0/0", true}, {"::/0", true}, {"169.254.0.0/16", true}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "2606:4700::1", 443).rule, "::/0");
  EXPECT_EQ(Judge(rules, "10.0.0.1", 443).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "fd00::1", 443).action, Action::kRefuse);
  EXPECT_EQ(Judge(Make({{"fd00::/8", true}}), "fd00:ec2::254", 443).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "169.254.7.7", 443).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "169.254.169.254", 443).action, Action::kRefuse);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {}, Transport::kTcp, Whose::kThisMachine).action,
            Action::kRefuse);
}

TEST(Rules, ThisMachineIsMeantByItsOwnAddressAlone) {
  const Rules rules = Make({{"192.168.0.0/16", true}, {"192.168.7.8", true}});
  const auto judge = [&](const char* address, Whose whose) {
    return Judge(rules, address, 443, {}, Transport::kTcp, whose).action;
  };
  EXPECT_EQ(judge("192.168.7.7", Whose::kOther), Action::kRelay);
  EXPECT_EQ(judge("192.168.7.7", Whose::kThisMachine), Action::kRefuse);
  EXPECT_EQ(judge("192.168.7.8", Whose::kThisMachine), Action::kRelay);
}

TEST(Rules, ARuleForTranslatedAddressesDoesNotReachWhatIsPrivate) {
  const Rules rules = Make({{"64:ff9b::/96", true}});
  EXPECT_EQ(Judge(rules, "64:ff9b::8.8.8.8", 443).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "64:ff9b::10.0.0.1", 443).action, Action::kRefuse);
}

TEST(Rules, Ipv6AnyIsNotIpv4) {
  EXPECT_EQ(Judge(Make({{"::/0", true}}), "8.8.8.8", 443).action, Action::kRefuse);
}

TEST(Rules, DatagramsToANameNeedAPort) {
  const Rules rules = Make({{"good.example"}, {"time.example:123"}});
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {"good.example"}, Transport::kUdp).action,
            Action::kRefuse);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 123, {"time.example"}, Transport::kUdp).action, Action::kRelay);
}

TEST(Rules, EverythingIsEverythingPublic) {
  const Rules rules = Make({}, policy::NetworkMode::kAll);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 22).action, Action::kRelay);
  EXPECT_EQ(Judge(rules, "8.8.8.8", 443, {}, Transport::kUdp).action, Action::kRelay);
  EXPECT_EQ(rules.JudgeName("any.example").action, Action::kRelay);
  for (const char* text : {"10.0.0.1", "168.63.129.16", "fd00:ec2::254", "224.0.0.1"}) {
    EXPECT_EQ(Judge(rules, text, 80).action, Action::kRefuse) << text;
  }
}

}  // namespace
}  // namespace cordon::net
