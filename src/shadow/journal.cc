#include "shadow/journal.h"

#include <algorithm>

#include "shadow/manifest.h"
#include "shadow/record.h"

namespace cordon::shadow {
namespace {

constexpr std::string_view kKind = "cordon shadow journal 1";
constexpr uint32_t kLastMode = 07777;

std::string_view Bytes(const Sha256::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Step ReadStep(RecordReader& in) {
  Step step;
  step.kind = static_cast<StepKind>(in.Choice(static_cast<uint32_t>(StepKind::kMode)));
  step.path = in.Text();
  if (!IsCleanPath(step.path)) in.Spoil();
  step.new_inode = in.Number();
  step.old_inode = in.Number();
  step.old_mode = in.Choice(kLastMode);
  step.new_mode = in.Choice(kLastMode);
  step.mtime_ns = in.Signed();
  step.sets_time = in.Choice(1) == 1;
  const std::string_view digest = in.Text();
  if (digest.empty()) return step;
  Sha256::Digest bytes = {};
  if (digest.size() != bytes.size()) {
    in.Spoil();
    return step;
  }
  std::ranges::copy(digest, bytes.begin());
  step.new_sha256 = bytes;
  return step;
}

}  // namespace

std::string WriteJournal(const Journal& journal) {
  RecordWriter out(kKind);
  out.Number(static_cast<uint64_t>(journal.phase));
  out.Text(journal.staging);
  out.Number(journal.staging_inode);
  out.Number(journal.steps.size());
  for (const Step& step : journal.steps) {
    out.Number(static_cast<uint64_t>(step.kind));
    out.Text(step.path);
    out.Number(step.new_inode);
    out.Number(step.old_inode);
    out.Number(step.old_mode);
    out.Number(step.new_mode);
    out.Signed(step.mtime_ns);
    out.Number(step.sets_time ? 1 : 0);
    out.Text(step.new_sha256 ? Bytes(*step.new_sha256) : std::string_view());
  }
  return out.Finish();
}

Result<Journal> ReadJournal(std::string_view bytes, const std::string& file) {
  RecordReader in(bytes, kKind);
  Journal journal;
  journal.phase = static_cast<Phase>(in.Choice(static_cast<uint32_t>(Phase::kApplied)));
  journal.staging = in.Text();
  if (!IsCleanPath(journal.staging) || journal.staging.find('/') != std::string::npos) in.Spoil();
  journal.staging_inode = in.Number();
  const size_t count = in.Count();
  for (size_t i = 0; i < count && in.is_good(); ++i) journal.steps.push_back(ReadStep(in));
  CORDON_TRY(in.Finish(file));
  return journal;
}

}  // namespace cordon::shadow
