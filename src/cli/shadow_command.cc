#include "cli/shadow_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/paint.h"
#include "cli/progress.h"
#include "cli/shadow_approval.h"
#include "policy/host_files.h"
#include "shadow/commit.h"
#include "shadow/create.h"
#include "shadow/quote.h"
#include "shadow/report.h"
#include "shadow/store.h"

namespace cordon::cli {
namespace {

struct Options {
  std::string directory = ".";
  std::string mode = "auto";
  std::vector<std::string> ignore;
  std::vector<std::string> ignore_files;
  bool gitignore = false;
  bool hash = false;
  std::string shadow;
  std::vector<std::string> paths;
  std::vector<std::string> force;
  bool skip_refused = false;
  bool dry_run = false;
  AnswerOptions answer;
  bool raw = false;
  bool no_text = false;
};

void Put(const std::string& text) {
  (void)fwrite(text.data(), 1, text.size(), stdout);
}

// What a crash left is put right before anything else is done with the shadow.
Status Repair(const shadow::Store& store, const std::string& id) {
  const Result<shadow::Shadow> alone = store.OpenShadow(id, shadow::Use::kAlone);
  if (!alone) return std::unexpected(alone.error());
  const Result<std::vector<std::string>> lines = shadow::Recover(*alone);
  if (!lines) return std::unexpected(lines.error());
  for (const std::string& line : *lines) Complain(Error{ErrorCode::kCorrupt, line, "shadow " + id});
  return {};
}

struct World {
  policy::Surroundings around;
  shadow::Store store;
};

Result<World> Enter() {
  policy::Surroundings around = policy::Surroundings::OfThisProcess();
  Result<shadow::Store> store = shadow::Store::Open(around);
  if (!store) return std::unexpected(store.error());
  // What cannot be removed now can be the next time.
  if (const Status removed = store->RemoveRemains(); !removed) Complain(removed.error());
  return World{std::move(around), std::move(*store)};
}

Result<shadow::ShadowInfo> Choose(const World& world, const std::string& id) {
  if (!id.empty()) return world.store.Find(id);
  const std::string here = policy::RealPath(world.around.directory);
  return world.store.FindFor(here.empty() ? world.around.directory : here);
}

Result<shadow::Shadow> OpenRepaired(const World& world, const std::string& id, shadow::Use use) {
  const Result<shadow::ShadowInfo> info = Choose(world, id);
  if (!info) return std::unexpected(info.error());
  Result<shadow::Shadow> opened = world.store.OpenShadow(info->id, use);
  if (!opened || !opened->Has("journal")) return opened;
  {
    const shadow::Shadow closed = std::move(*opened);
  }
  if (const Status repaired = Repair(world.store, info->id); !repaired)
    return std::unexpected(repaired.error());
  return world.store.OpenShadow(info->id, use);
}

// --- create, list ---

int Create(const Options& options, Answer& answer) {
  const Result<World> world = Enter();
  if (!world) return answer.Refuse(world.error());
  shadow::CreateRequest request;
  request.workspace = options.directory;
  if (options.mode == "copy") request.mode = shadow::Mode::kCopy;
  if (options.mode == "overlay") request.mode = shadow::Mode::kOverlay;
  request.ignore = options.ignore;
  request.ignore_files = options.ignore_files;
  request.obey_gitignore = options.gitignore;
  request.hashes_all = options.hash;
  Progress progress("making the shadow", answer);
  request.on_path = [&](const char* done) { progress.Count(done); };
  const Result<shadow::Created> created = shadow::Create(world->store, world->around, request);
  progress.End();
  if (!created) return answer.Refuse(created.error());
  size_t absent = 0;
  for (const auto& [path, entry] : created->base)
    absent += entry.absence == shadow::Absence::kNone ? 0 : 1;
  answer.Set("shadow", created->info.id);
  answer.Set("workspace", created->info.workspace);
  answer.Set("mode", shadow::ModeName(created->info.mode));
  answer.Set("mode_why", created->info.mode_why);
  answer.Set("paths", created->base.size() - absent);
  answer.Set("not_imported", absent);
  answer.Remark("shadow of " + shadow::QuoteName(created->info.workspace) + ", mode " +
                shadow::ModeName(created->info.mode) + " (" + created->info.mode_why + "), " +
                std::to_string(created->base.size() - absent) + " paths, " +
                std::to_string(absent) + " not imported");
  answer.Print(created->info.id + "\n");
  return 0;
}

std::string TimeText(std::chrono::sys_seconds time) {
  const time_t seconds = time.time_since_epoch().count();
  tm parts = {};
  char text[32] = {};
  if (gmtime_r(&seconds, &parts) != nullptr)
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

int List(const Options& options, Answer& answer) {
  const Result<World> world = Enter();
  if (!world) return answer.Refuse(world.error());
  const Result<std::vector<shadow::ShadowInfo>> all = world->store.List();
  if (!all) return answer.Refuse(all.error());
  nlohmann::json json = nlohmann::json::array();
  for (const shadow::ShadowInfo& info : *all) {
    bool is_exact = false;
    const std::string folder = world->store.folder() + "/" + info.id;
    if (options.answer.json) {
      json.push_back({{"shadow", info.id},
                      {"workspace", shadow::JsonText(info.workspace, &is_exact)},
                      {"mode", shadow::ModeName(info.mode)},
                      {"created", TimeText(info.created)},
                      {"folder", shadow::JsonText(folder, &is_exact)}});
    } else {
      Put(info.id + "  " + TimeText(info.created) + "  " +
          (info.mode == shadow::Mode::kCopy ? "copy     " : "overlay  ") +
          shadow::QuoteName(info.workspace) + "\n");
    }
  }
  if (options.answer.json) Put(json.dump(2) + "\n");
  return 0;
}

// --- diff ---

// Paths as the user gives them, relative to where he is; empty is the whole workspace.
Result<std::vector<std::string>> InWorkspace(const World& world, const shadow::ShadowInfo& info,
                                             const std::vector<std::string>& paths) {
  std::vector<std::string> inner;
  const std::string here = policy::RealPath(world.around.directory);
  for (const std::string& path : paths) {
    const std::string full = policy::AbsolutePath(here.empty() ? "/" : here, path);
    if (full == info.workspace) {
      inner.emplace_back();
      continue;
    }
    // Somebody elsewhere names paths of the workspace by themselves.
    const bool is_within = policy::IsWithin(full, info.workspace);
    if (!is_within && (path.starts_with('/') || policy::IsWithin(here, info.workspace)))
      return Fail(ErrorCode::kInvalid, "is not in " + info.workspace, shadow::QuoteName(path));
    const std::string whole = is_within ? full : policy::AbsolutePath(info.workspace, path);
    if (!policy::IsWithin(whole, info.workspace) || whole == info.workspace)
      return Fail(ErrorCode::kInvalid, "is not in " + info.workspace, shadow::QuoteName(path));
    inner.push_back(whole.substr(info.workspace == "/" ? 1 : info.workspace.size() + 1));
  }
  return inner;
}

int Diff(const Options& options, Answer& answer) {
  const Result<World> world = Enter();
  if (!world) return answer.Refuse(world.error());
  const Result<shadow::Shadow> opened = OpenRepaired(*world, options.shadow, shadow::Use::kShared);
  if (!opened) return answer.Refuse(opened.error());
  const auto paths = InWorkspace(*world, opened->info(), options.paths);
  if (!paths) return answer.Refuse(paths.error());
  Progress progress("looking for changes", answer);
  const Result<shadow::Sides> sides = shadow::OpenSides(*opened);
  if (!sides) return answer.Refuse(sides.error());
  Result<shadow::ChangeSet> set =
      shadow::FindChanges(opened->info(), *sides, [&](const char* done) { progress.Count(done); });
  if (!set) return answer.Refuse(set.error());
  shadow::FindRenames(*sides, &*set);
  if (!paths->empty()) {
    std::erase_if(set->changes, [&](const shadow::Change& change) {
      return std::ranges::none_of(
          *paths, [&](const std::string& path) { return shadow::IsAtOrBelow(change.path, path); });
    });
  }
  const shadow::Report report =
      shadow::MakeReport(opened->info(), *sides, std::move(*set),
                         options.no_text ? shadow::Texts::kNo : shadow::Texts::kYes);
  progress.End();
  if (options.answer.json) {
    Put(shadow::ReportJson(report));
  } else if (options.raw) {
    Put(shadow::ReportText(report, true));
  } else {
    Print(shadow::ReportText(report, false), Paint::kDifference);
  }
  return 0;
}

// --- commit, discard ---

int ShowRefusals(const shadow::Report& report, Answer& answer) {
  size_t refused = 0;
  for (const shadow::ReportedChange& reported : report.changes) {
    const std::string& why =
        reported.verdict.refusal.empty() ? reported.conflict : reported.verdict.refusal;
    if (why.empty()) continue;
    ++refused;
    answer.Complain(Error{ErrorCode::kInvalid,
                          shadow::QuoteName(reported.change.path) +
                              (reported.conflict.empty() ? ": " : ": conflict: ") + why,
                          {}});
  }
  answer.Complain(Error{
      ErrorCode::kInvalid, "nothing was committed: " + std::to_string(refused) + " refused", {}});
  return backend::kOwnFailure;
}

int Commit(const Options& options, Answer& answer) {
  const Result<World> world = Enter();
  if (!world) return answer.Refuse(world.error());
  const Result<shadow::Shadow> opened = OpenRepaired(*world, options.shadow, shadow::Use::kAlone);
  if (!opened) return answer.Refuse(opened.error());
  shadow::CommitRequest request;
  for (const auto& [from, to] :
       {std::pair{&options.paths, &request.paths}, std::pair{&options.force, &request.force}}) {
    auto inner = InWorkspace(*world, opened->info(), *from);
    if (!inner) return answer.Refuse(inner.error());
    *to = std::move(*inner);
  }
  request.skips_refused = options.skip_refused;
  request.is_dry = options.dry_run;
  auto approve = MakeApproval(world->around);
  if (!approve) return answer.Refuse(approve.error());
  // Who approves may ask on the terminal.
  std::optional<Progress> progress(std::in_place, "looking for changes", answer);
  request.on_path = [&](const char* done) { progress->Count(done); };
  if (*approve) {
    request.approve = [&](const std::string& report) {
      progress.reset();
      const Status approved = (*approve)(report);
      progress.emplace("committing", answer);
      return approved;
    };
  }
  const Result<shadow::CommitResult> result = shadow::Commit(*opened, request);
  progress.reset();
  if (!result) return answer.Refuse(result.error());
  const bool is_fine = result->is_done || options.dry_run;
  answer.Set("shadow", opened->info().id);
  answer.Set("state", "refused");
  if (answer.is_json()) {
    answer.Set("report", nlohmann::ordered_json::parse(shadow::ReportJson(result->report)));
  }
  for (const shadow::ReportedChange& reported : result->report.changes) {
    if (!reported.verdict.refusal.empty() || !reported.conflict.empty())
      return ShowRefusals(result->report, answer);
    for (const std::string& note : reported.verdict.notes) {
      answer.Remark(shadow::QuoteName(reported.change.path) + ": " + note);
    }
  }
  if (!is_fine) return backend::kOwnFailure;
  answer.Set("state", options.dry_run ? "would commit" : "committed");
  answer.Say((options.dry_run ? "would commit: " : "committed: ") +
             shadow::TallyText(shadow::Count(result->report)));
  return 0;
}

int Discard(const Options& options, Answer& answer) {
  const Result<World> world = Enter();
  if (!world) return answer.Refuse(world.error());
  const Result<shadow::ShadowInfo> info = Choose(*world, options.shadow);
  if (!info) return answer.Refuse(info.error());
  Result<shadow::Shadow> opened = world->store.OpenShadow(info->id, shadow::Use::kAlone);
  if (!opened) return answer.Refuse(opened.error());
  // A commit that was cut off is taken back first, where its workspace still is.
  if (opened->Has("journal") && opened->OpenWorkspace()) {
    const Result<std::vector<std::string>> lines = shadow::Recover(*opened);
    if (!lines) return answer.Refuse(lines.error());
    for (const std::string& line : *lines) answer.Complain(Error{ErrorCode::kCorrupt, line, {}});
  }
  Progress progress("removing the shadow", answer);
  const Status discarded = world->store.Discard(std::move(*opened));
  progress.End();
  if (!discarded) return answer.Refuse(discarded.error());
  answer.Set("shadow", info->id);
  answer.Say("discarded: " + info->id);
  return 0;
}

// --- the command line ---

using Work = int (*)(const Options&, Answer&);

void Bind(Command& command, const char* name, const std::shared_ptr<Options>& options,
          std::function<int()>* chosen, Work work) {
  AddAnswerOptions(command, &options->answer);
  command.OnCall([name, options, chosen, work] {
    *chosen = [name, options, work] {
      return GiveAnswer(name, options->answer,
                        [&](Answer& answer) { return work(*options, answer); });
    };
  });
}

// With --json these print a document of their own.
void BindDocument(Command& command, const std::shared_ptr<Options>& options,
                  std::function<int()>* chosen, Work work) {
  command.OnCall([options, chosen, work] {
    *chosen = [options, work] {
      return GiveErrors(options->answer.json,
                        [&](Answer& answer) { return work(*options, answer); });
    };
  });
}

void AddCreate(Command& parent, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command = parent.AddCommand("create", "make one of a directory; prints its name");
  command.AddOption("directory", options->directory, "the workspace (here)");
  command.AddOption("--mode", options->mode, "auto, overlay or copy")
      .OneOf({"auto", "overlay", "copy"});
  command.AddOption("--ignore", options->ignore, "a rule as in .gitignore: what is left out");
  command.AddOption("--ignore-file", options->ignore_files, "a file of such rules");
  command.AddFlag("--gitignore", options->gitignore, "leave out what git ignores");
  command.AddFlag("--hash", options->hash,
                  "read every file now: one that is only touched later is no conflict");
  command.Footer("cordon shadow create\ncordon shadow create --ignore '*.pem' --ignore build/ .");
  Bind(command, "shadow create", options, chosen, Create);
}

void AddList(Command& parent, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command = parent.AddCommand("list", "those that there are");
  command.AddFlag("--json", options->answer.json, "for programs");
  command.Footer("cordon shadow list\ncordon shadow list --json");
  BindDocument(command, options, chosen, List);
}

std::shared_ptr<Options> AddForOne(Command& command) {
  auto options = std::make_shared<Options>();
  command.AddOption("--shadow", options->shadow, "which one (that of this directory)");
  return options;
}

void AddDiff(Command& parent, std::function<int()>* chosen) {
  Command command = parent.AddCommand("diff", "what changed in a shadow workspace");
  const auto options = AddForOne(command);
  command.AddFlag("--json", options->answer.json, "for programs");
  command.AddFlag("--raw", options->raw, "contents unescaped, for patch; not for a terminal");
  command.AddFlag("--no-text,--summary", options->no_text, "names only");
  command.AddOption("path", options->paths, "only there");
  command.Footer("cordon diff\ncordon diff --json src");
  BindDocument(command, options, chosen, Diff);
}

void AddCommit(Command& parent, std::function<int()>* chosen) {
  Command command = parent.AddCommand("commit", "take a shadow workspace's changes over");
  const auto options = AddForOne(command);
  command.AddOption("--force", options->force, "a path whose conflicts are overruled");
  command.AddFlag("--skip-refused", options->skip_refused, "commit the rest instead of nothing");
  command.AddFlag("-n,--dry-run", options->dry_run, "check, and write nothing");
  command.AddOption("path", options->paths, "only there (everything)");
  command.Footer(
      "cordon commit\ncordon commit --dry-run --json\n"
      "cordon commit src/main.c\ncordon commit .git/hooks/pre-commit");
  Bind(command, "commit", options, chosen, Commit);
}

void AddDiscard(Command& parent, std::function<int()>* chosen) {
  Command command = parent.AddCommand("discard", "remove a shadow workspace");
  const auto options = AddForOne(command);
  command.Footer("cordon discard\ncordon discard --shadow NAME --json");
  Bind(command, "discard", options, chosen, Discard);
}

}  // namespace

void AddShadowCommands(Command& app, std::function<int()>* chosen) {
  Command shadow = app.AddCommand("shadow", "copy-on-write views of a directory");
  shadow.NeedCommand();
  shadow.Footer("cordon shadow create\ncordon shadow list --json");
  AddCreate(shadow, chosen);
  AddList(shadow, chosen);
  for (Command* parent : {&shadow, &app}) {
    AddDiff(*parent, chosen);
    AddCommit(*parent, chosen);
    AddDiscard(*parent, chosen);
  }
}

}  // namespace cordon::cli
