#include "cli/workspace_view.h"

#include <algorithm>

#include "cli/progress.h"
#include "shadow/commit.h"
#include "shadow/create.h"
#include "shadow/report.h"

namespace cordon::cli {
namespace {

using shadow::Mode;

// As a rule of .gitignore that means this very path.
std::string RuleFor(const std::string& path) {
  std::string rule;
  for (const char letter : path) {
    if (std::string_view("*?[]\\! #").find(letter) != std::string_view::npos) rule += '\\';
    rule += letter;
  }
  return rule;
}

// What is hidden is not in the view at all.
Result<std::string> CreateFor(const policy::Plan& plan, const shadow::Store& store,
                              const policy::Surroundings& around) {
  shadow::CreateRequest request;
  request.workspace = plan.workspace.root;
  if (plan.workspace.shadow_copy) request.mode = Mode::kCopy;
  for (const policy::Mount& mount : plan.mounts) {
    if (mount.kind != policy::MountKind::kMask ||
        !policy::IsWithin(mount.target, plan.workspace.mount))
      continue;
    const size_t base = plan.workspace.mount == "/" ? 0 : plan.workspace.mount.size();
    request.ignore.push_back(RuleFor(mount.target.substr(base)));
  }
  Progress progress("making the shadow");
  request.on_path = [&](const char* done) { progress.Count(done); };
  const Result<shadow::Created> created = shadow::Create(store, around, request);
  if (!created) return std::unexpected(created.error());
  return created->info.id;
}

}  // namespace

Result<WorkspaceView> WorkspaceView::Open(const policy::Plan& plan,
                                          const policy::Surroundings& around) {
  Result<shadow::Store> store = shadow::Store::Open(around);
  if (!store) return std::unexpected(store.error());
  const Result<std::vector<shadow::ShadowInfo>> all = store->List();
  if (!all) return std::unexpected(all.error());
  std::vector<shadow::ShadowInfo> own;
  std::ranges::copy_if(*all, std::back_inserter(own), [&](const shadow::ShadowInfo& info) {
    return info.workspace == plan.workspace.root;
  });
  if (own.size() > 1) {
    return Fail(ErrorCode::kInvalid,
                "the workspace has several shadows; cordon discard --shadow NAME removes one",
                plan.workspace.root);
  }
  std::string id;
  if (own.empty()) {
    Result<std::string> made = CreateFor(plan, *store, around);
    if (!made) return std::unexpected(made.error());
    id = std::move(*made);
  } else if (plan.workspace.shadow_copy && own.front().mode != Mode::kCopy) {
    return Fail(ErrorCode::kInvalid,
                "excluded files that may come into being need a shadow of mode copy, and this one "
                "is an overlay; commit or discard it first",
                "shadow " + own.front().id);
  } else {
    id = own.front().id;
  }
  Result<shadow::View> view = shadow::View::Open(*store, id);
  if (!view) return std::unexpected(view.error());
  return WorkspaceView(std::move(*store), std::move(*view));
}

Result<std::string> WorkspaceView::Summary() && {
  const std::string id = view_.info().id;
  const Result<shadow::Shadow> opened = store_.OpenShadow(id, shadow::Use::kShared);
  if (!opened) return std::unexpected(opened.error());
  const Result<shadow::Sides> sides = shadow::OpenSides(*opened);
  if (!sides) return std::unexpected(sides.error());
  Result<shadow::ChangeSet> set = shadow::FindChanges(opened->info(), *sides);
  if (!set) return std::unexpected(set.error());
  const shadow::Report report =
      shadow::MakeReport(opened->info(), *sides, std::move(*set), shadow::Texts::kNo);
  return "shadow " + id + ": " + shadow::TallyText(shadow::Count(report)) +
         "; cordon diff, cordon commit or cordon discard";
}

}  // namespace cordon::cli
