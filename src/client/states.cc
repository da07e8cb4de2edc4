// A sandbox's state elsewhere: exported, offloaded, saved.

#include <utility>

#include "client/archive.h"
#include "cordon/sandbox.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
using client::Json;
using client::Then;

Result<TransferReport> Sandbox::Export(const Sink& sink) {
  const Result<Json> report = AskOf(connection_, id_, "persistence.export");
  if (!report) return std::unexpected(report.error());
  return client::TakeArchive(connection_, id_, *report, sink);
}

Result<TransferReport> Sandbox::ExportTo(int file) {
  return Then(AskOf(connection_, id_, "persistence.export", {{"intoFile", true}}, {.given = file}),
              client::ReportOf);
}

Result<TransferReport> Sandbox::Import(const Source& source, ImportMode mode) {
  const Result<Json> blob = client::GiveArchive(connection_, id_, source);
  if (!blob) return std::unexpected(blob.error());
  const char* how = mode == ImportMode::kMerge ? "merge" : "replace";
  return Then(AskOf(connection_, id_, "persistence.import", {{"blobId", *blob}, {"mode", how}}),
              client::ReportOf);
}

Result<TransferReport> Sandbox::Offload(const Sink& sink) {
  const Result<Json> report = AskOf(connection_, id_, "offload");
  if (!report) return std::unexpected(report.error());
  Result<TransferReport> taken = client::TakeArchive(connection_, id_, *report, sink);
  CORDON_TRY(AskDone(connection_, id_, "offload.end", {{"kept", taken.has_value()}}));
  return taken;
}

Result<TransferReport> Sandbox::Rehydrate(const Source& source) {
  CORDON_TRY(AskDone(connection_, id_, "rehydrate"));
  return Import(source, ImportMode::kMerge);
}

Result<bool> Sandbox::Save() {
  return Then(AskOf(connection_, id_, "persistence.save"),
              [](const Json& answer) { return answer.value("changed", false); });
}

Result<std::optional<TransferReport>> Sandbox::Load() {
  return Then(AskOf(connection_, id_, "persistence.load"),
              [](const Json& answer) -> std::optional<TransferReport> {
                if (!answer.value("loaded", false)) return std::nullopt;
                return client::ReportOf(answer);
              });
}

Status Sandbox::ClearSaved() {
  return AskDone(connection_, id_, "persistence.clear");
}

}  // namespace cordon
