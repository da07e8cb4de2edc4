#include "net/transparent_rules.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstring>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/namespace_setup.h"
#include "net/netlink.h"

namespace cordon::net {
namespace {

constexpr const char* kTable = "cordon";
constexpr const char* kChain = "out";
// linux/netfilter_ipv4.h, which the C library's headers do not go together with.
constexpr int kPriorityMangle = -150;
constexpr uint16_t kNftables = NFNL_SUBSYS_NFTABLES << 8;

using Bytes = std::vector<uint8_t>;

Bytes BytesOf(const char* text) {
  const Address address = *ParseAddress(text);
  return {address.bytes.begin() + (address.is_ipv4() ? 12 : 0), address.bytes.end()};
}

template <typename Number>
Bytes HostOrder(Number value) {
  Bytes bytes(sizeof value);
  memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Writes rules, an expression after the other, as nf_tables.h names them.
class RuleWriter {
 public:
  explicit RuleWriter(NetlinkBatch* batch) : batch_(*batch) {}

  void Begin(const char* what) {
    const nfgenmsg header = {NFPROTO_INET, NFNETLINK_V0, 0};
    batch_.Begin(kNftables | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, header,
                 what);
    batch_.PutText(NFTA_RULE_TABLE, kTable);
    batch_.PutText(NFTA_RULE_CHAIN, kChain);
    expressions_ = batch_.BeginNest(NFTA_RULE_EXPRESSIONS);
  }
  void Meta(uint32_t key, const Bytes& wanted) {
    BeginExpression("meta");
    batch_.PutBigEndian(NFTA_META_KEY, key);
    batch_.PutBigEndian(NFTA_META_DREG, NFT_REG_1);
    EndExpression();
    Compare(wanted);
  }
  // Bytes of the network header.
  void Header(uint32_t offset, const Bytes& wanted) {
    BeginExpression("payload");
    batch_.PutBigEndian(NFTA_PAYLOAD_DREG, NFT_REG_1);
    batch_.PutBigEndian(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    batch_.PutBigEndian(NFTA_PAYLOAD_OFFSET, offset);
    batch_.PutBigEndian(NFTA_PAYLOAD_LEN, static_cast<uint32_t>(wanted.size()));
    EndExpression();
    Compare(wanted);
  }
  void Transparent(uint32_t family, const char* address) {
    Load(NFT_REG_1, BytesOf(address));
    const uint16_t port = htons(kListenerPort);
    Load(NFT_REG_2, HostOrder(port));
    BeginExpression("tproxy");
    batch_.PutBigEndian(NFTA_TPROXY_FAMILY, family);
    batch_.PutBigEndian(NFTA_TPROXY_REG_ADDR, NFT_REG_1);
    batch_.PutBigEndian(NFTA_TPROXY_REG_PORT, NFT_REG_2);
    EndExpression();
  }
  void Accept() {
    BeginExpression("immediate");
    batch_.PutBigEndian(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    const size_t data = batch_.BeginNest(NFTA_IMMEDIATE_DATA);
    const size_t verdict = batch_.BeginNest(NFTA_DATA_VERDICT);
    batch_.PutBigEndian(NFTA_VERDICT_CODE, NF_ACCEPT);
    batch_.EndNest(verdict);
    batch_.EndNest(data);
    EndExpression();
    batch_.EndNest(expressions_);
    batch_.End();
  }

 private:
  void BeginExpression(const char* name) {
    element_ = batch_.BeginNest(NFTA_LIST_ELEM);
    batch_.PutText(NFTA_EXPR_NAME, name);
    data_ = batch_.BeginNest(NFTA_EXPR_DATA);
  }
  void EndExpression() {
    batch_.EndNest(data_);
    batch_.EndNest(element_);
  }
  void PutValue(uint16_t attribute, const Bytes& value) {
    const size_t nest = batch_.BeginNest(attribute);
    batch_.Put(NFTA_DATA_VALUE, value);
    batch_.EndNest(nest);
  }
  void Compare(const Bytes& wanted) {
    BeginExpression("cmp");
    batch_.PutBigEndian(NFTA_CMP_SREG, NFT_REG_1);
    batch_.PutBigEndian(NFTA_CMP_OP, NFT_CMP_EQ);
    PutValue(NFTA_CMP_DATA, wanted);
    EndExpression();
  }
  void Load(uint32_t to, const Bytes& value) {
    BeginExpression("immediate");
    batch_.PutBigEndian(NFTA_IMMEDIATE_DREG, to);
    PutValue(NFTA_IMMEDIATE_DATA, value);
    EndExpression();
  }

  NetlinkBatch& batch_;
  size_t expressions_ = 0;
  size_t element_ = 0;
  size_t data_ = 0;
};

void AddChain(NetlinkBatch* batch) {
  const nfgenmsg header = {NFPROTO_INET, NFNETLINK_V0, 0};
  batch->Begin(kNftables | NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, header, "nftables table");
  batch->PutText(NFTA_TABLE_NAME, kTable);
  batch->End();
  batch->Begin(kNftables | NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, header, "nftables chain");
  batch->PutText(NFTA_CHAIN_TABLE, kTable);
  batch->PutText(NFTA_CHAIN_NAME, kChain);
  batch->PutText(NFTA_CHAIN_TYPE, "filter");
  batch->PutBigEndian(NFTA_CHAIN_POLICY, NF_DROP);
  const size_t hook = batch->BeginNest(NFTA_CHAIN_HOOK);
  batch->PutBigEndian(NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
  batch->PutBigEndian(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(kPriorityMangle));
  batch->EndNest(hook);
  batch->End();
}

void AddRules(NetlinkBatch* batch, Families families) {
  constexpr uint32_t kIpv4Destination = 16;
  constexpr uint32_t kIpv6Destination = 24;
  const Bytes ipv4 = {NFPROTO_IPV4};
  const Bytes ipv6 = {NFPROTO_IPV6};
  RuleWriter rule(batch);
  rule.Begin("nftables rule: what the gateway sends");
  rule.Meta(NFT_META_MARK, HostOrder(kGatewayMark));
  rule.Accept();
  rule.Begin("nftables rule: loopback");
  rule.Meta(NFT_META_NFPROTO, ipv4);
  rule.Header(kIpv4Destination, {127});
  rule.Accept();
  rule.Begin("nftables rule: own address");
  rule.Meta(NFT_META_NFPROTO, ipv4);
  rule.Header(kIpv4Destination, BytesOf(kInsideIpv4));
  rule.Accept();
  for (const char* address : {"::1", kInsideIpv6}) {
    rule.Begin("nftables rule: IPv6 loopback");
    rule.Meta(NFT_META_NFPROTO, ipv6);
    rule.Header(kIpv6Destination, BytesOf(address));
    rule.Accept();
  }
  // Does not apply where no listener is left, nor to a connection's way back.
  rule.Begin("nftables rule: tproxy ip, kernel option NFT_TPROXY");
  rule.Transparent(NFPROTO_IPV4, "127.0.0.1");
  rule.Accept();
  if (families == Families::kBoth) {
    rule.Begin("nftables rule: tproxy ip6, kernel option NFT_TPROXY");
    rule.Transparent(NFPROTO_IPV6, "::1");
    rule.Accept();
  }
  // The way back; and without a gateway the kernel refuses, since nobody listens.
  for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    rule.Begin("nftables rule: local delivery");
    rule.Meta(NFT_META_L4PROTO, {protocol});
    rule.Accept();
  }
}

}  // namespace

Status InstallTransparentRules(Families families) {
  NetlinkBatch batch;
  const nfgenmsg header = {AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
  batch.Begin(NFNL_MSG_BATCH_BEGIN, 0, header, "nftables transaction");
  batch.End();
  AddChain(&batch);
  AddRules(&batch, families);
  batch.Begin(NFNL_MSG_BATCH_END, 0, header, "nftables transaction");
  batch.End();
  return batch.Send(NETLINK_NETFILTER);
}

}  // namespace cordon::net
