// The machine's form of a report; the names of its fields are documented in docs/shadow.md.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "shadow/quote.h"
#include "shadow/report.h"

namespace cordon::shadow {
namespace {

using nlohmann::json;

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return text;
}

// Bytes that are no text are there as well as they can be, and exactly in `KEY_base64`.
void Put(json* object, const std::string& key, std::string_view bytes) {
  bool is_exact = false;
  (*object)[key] = JsonText(bytes, &is_exact);
  if (!is_exact) (*object)[key + "_base64"] = Base64(bytes);
}

json NodeJson(const std::string& path, const Node& node) {
  json object;
  Put(&object, "path", path);
  object["type"] = TypeName(node.type);
  if (node.type == NodeType::kLink) {
    Put(&object, "target", node.target);
    return object;
  }
  char mode[16];
  (void)snprintf(mode, sizeof mode, "%04o", node.mode);
  object["mode"] = mode;
  if (node.type != NodeType::kFile) return object;
  object["size"] = node.size;
  object["sha256"] = node.sha256 ? json(Sha256::Hex(*node.sha256)) : json(nullptr);
  return object;
}

json ChangeJson(const ReportedChange& reported) {
  const Change& change = reported.change;
  const bool is_rename = !change.renamed_from.empty();
  json object = {{"kind", is_rename ? "rename" : KindName(change.kind)}};
  Put(&object, "path", change.path);
  if (is_rename) Put(&object, "from", change.renamed_from);
  if (change.before)
    object["before"] = NodeJson(is_rename ? change.renamed_from : change.path, *change.before);
  if (change.after) object["after"] = NodeJson(change.path, *change.after);
  if (reported.text) Put(&object, "text", *reported.text);
  if (!reported.no_text.empty()) Put(&object, "no_text", reported.no_text);
  if (!reported.verdict.refusal.empty()) Put(&object, "refused", reported.verdict.refusal);
  if (reported.verdict.yields_to_name) object["protected"] = true;
  if (!reported.conflict.empty()) Put(&object, "conflict", reported.conflict);
  for (const std::string& note : reported.verdict.notes) {
    bool is_exact = false;
    object["notes"].push_back(JsonText(note, &is_exact));
  }
  return object;
}

}  // namespace

std::string ReportJson(const Report& report) {
  const Tally tally = Count(report);
  json object = {{"version", 1},
                 {"shadow", report.info.id},
                 {"mode", ModeName(report.info.mode)},
                 {"status", TallyText(tally)},
                 {"adds", json::array()},
                 {"deletes", json::array()},
                 {"modifies", json::array()},
                 {"renames", json::array()},
                 {"not_imported", json::array()}};
  Put(&object, "workspace", report.info.workspace);
  for (const ReportedChange& reported : report.changes) {
    const Change& change = reported.change;
    if (!change.renamed_to.empty()) continue;
    const char* list = change.kind == ChangeKind::kDelete   ? "deletes"
                       : change.kind == ChangeKind::kModify ? "modifies"
                       : change.renamed_from.empty()        ? "adds"
                                                            : "renames";
    object[list].push_back(ChangeJson(reported));
  }
  for (const NotImported& absent : report.not_imported) {
    json entry;
    Put(&entry, "path", absent.path);
    Put(&entry, "why", absent.why);
    object["not_imported"].push_back(std::move(entry));
  }
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cordon::shadow
