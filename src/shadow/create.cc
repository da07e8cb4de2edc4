#include "shadow/create.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/host_files.h"
#include "shadow/ignore.h"
#include "shadow/view.h"

namespace cordon::shadow {
namespace {

constexpr size_t kMaxRuleBytes = 1 << 20;
constexpr const char* kOwnRules = ".cordonignore";
constexpr const char* kGitRules = ".gitignore";

class Scanner {
 public:
  Scanner(const Tree& workspace, const CreateRequest& request)
      : workspace_(workspace), request_(request) {}

  Result<Manifest> Scan() {
    if (const Status read = ReadUserRules(); !read) return std::unexpected(read.error());
    AddRulesOf(kOwnRules, "");
    if (request_.obey_gitignore) AddRulesOf(kGitRules, "");
    std::vector<Unseen> unseen;
    const Status walked = Walk(workspace_, &unseen, [this](const Visited& visited) {
      return Result<Visit>(Take(visited));
    });
    if (!walked) return std::unexpected(walked.error());
    for (const Unseen& one : unseen) {
      BaseEntry& entry = base_[one.path];
      entry.absence = one.path.size() > kMaxPath ? Absence::kTooLong : Absence::kUnreadable;
      entry.detail = one.why;
    }
    return std::move(base_);
  }

 private:
  Status ReadUserRules() {
    for (const std::string& file : request_.ignore_files) {
      const Result<std::string> text = policy::ReadHostFile(file, kMaxRuleBytes);
      if (!text) return std::unexpected(text.error());
      user_rules_.Add(*text, "", file);
    }
    for (const std::string& rule : request_.ignore) user_rules_.Add(rule, "", "--ignore");
    return {};
  }

  void AddRulesOf(const std::string& name, const std::string& folder) {
    const std::string path = Join(folder, name);
    // One that is a link, or not readable, says nothing.
    const Result<std::string> text = workspace_.Read(path, kMaxRuleBytes);
    if (text) found_rules_.Add(*text, folder, path);
  }

  std::string FindRule(const std::string& path, NodeType type) const {
    const std::optional<std::string> own = user_rules_.Find(path, type);
    return own ? *own : found_rules_.Find(path, type).value_or("");
  }

  Visit Take(const Visited& visited) {
    BaseEntry entry;
    entry.node = visited.stat.node;
    entry.real = visited.stat.identity;
    entry.detail = FindRule(visited.path, entry.node.type);
    if (!entry.detail.empty()) {
      entry.absence = Absence::kIgnored;
    } else if (visited.stat.is_mount_point) {
      entry.absence = Absence::kMount;
    } else if (entry.node.type == NodeType::kOther) {
      entry.absence = Absence::kSpecial;
    }
    const bool is_there = entry.absence == Absence::kNone;
    if (is_there && entry.node.type == NodeType::kDirectory && request_.obey_gitignore)
      AddRulesOf(kGitRules, visited.path);
    base_.insert_or_assign(visited.path, std::move(entry));
    if (request_.on_path) request_.on_path("looked at");
    return is_there ? Visit::kEnter : Visit::kSkip;
  }

  const Tree& workspace_;
  const CreateRequest& request_;
  IgnoreRules user_rules_;
  IgnoreRules found_rules_;
  Manifest base_;
};

// Cordon's own state must not be in the view: a command would see it, or write it.
Status CheckPlace(const Store& store, const policy::Surroundings& around,
                  const std::string& workspace) {
  const std::string config = policy::RealPath(around.config_home);
  for (const std::string& own : {store.folder(), config}) {
    if (own.empty() || (!policy::IsWithin(own, workspace) && !policy::IsWithin(workspace, own)))
      continue;
    return Fail(ErrorCode::kInvalid, "holds " + own + ", which is Cordon's own", workspace);
  }
  return {};
}

// Contents that may still change without a trace are read now.
void HashContents(const Tree& files, const CreateRequest& request, Manifest* base) {
  for (auto& [path, entry] : *base) {
    if (entry.absence != Absence::kNone || entry.node.type != NodeType::kFile ||
        (entry.real.is_settled && !request.hashes_all)) {
      continue;
    }
    const Result<Sha256::Digest> digest = files.Hash(path);
    // Unreadable, or gone: a change of it will be a conflict.
    if (digest) entry.node.sha256 = *digest;
    if (request.on_path) request.on_path("hashed");
  }
}

Status Fill(const Tree& workspace, const CreateRequest& request, const Shadow& shadow,
            Manifest* base) {
  if (shadow.info().mode == Mode::kCopy) {
    CORDON_TRY(CopyTree(workspace, shadow.folder(), request.on_path, base));
    const Result<Tree> files = shadow.OpenFiles();
    if (!files) return std::unexpected(files.error());
    HashContents(*files, request, base);
    return {};
  }
  CORDON_TRY(HideAbsent(workspace, shadow.folder(), *base));
  HashContents(workspace, request, base);
  return {};
}

// The mode that is used, and why not the other one.
Result<std::pair<Mode, std::string>> ChooseMode(const CreateRequest& request,
                                                const std::string& folder,
                                                const std::string& workspace) {
  if (request.mode == Mode::kCopy) return std::pair{Mode::kCopy, std::string("asked for")};
  const Status probed = ProbeOverlay(folder, workspace);
  if (probed) return std::pair{Mode::kOverlay, std::string("it works here")};
  if (request.mode) return std::unexpected(probed.error());
  return std::pair{Mode::kCopy, probed.error().ToString()};
}

Result<Created> Build(const Store& store, ShadowInfo info, const CreateRequest& request,
                      const Tree& workspace) {
  Result<Shadow> shadow = store.Begin(std::move(info));
  if (!shadow) return std::unexpected(shadow.error());
  const auto mode = ChooseMode(request, shadow->folder(), shadow->info().workspace);
  if (!mode) return std::unexpected(mode.error());
  shadow->SetMode(mode->first, mode->second);
  Result<Manifest> base = Scan(workspace, request);
  if (!base) return std::unexpected(base.error());
  Status done = Fill(workspace, request, *shadow, &*base);
  if (done) done = shadow->Write("base", WriteManifest(*base));
  if (done) done = Store::Finish(*shadow);
  if (!done) return std::unexpected(done.error());
  return Created{shadow->info(), std::move(*base)};
}

}  // namespace

Result<Manifest> Scan(const Tree& workspace, const CreateRequest& request) {
  return Scanner(workspace, request).Scan();
}

Result<Created> Create(const Store& store, const policy::Surroundings& around,
                       const CreateRequest& request) {
  ShadowInfo info;
  info.workspace = policy::RealPath(request.workspace);
  if (info.workspace.empty()) return SystemError("realpath(" + request.workspace + ")");
  const Result<Tree> workspace = Tree::Open(info.workspace, Ownership::kUsers);
  if (!workspace) return std::unexpected(workspace.error());
  if (const Status place = CheckPlace(store, around, info.workspace); !place)
    return std::unexpected(place.error());
  const Result<Stat> stat = LookAtOpen(workspace->get());
  if (!stat) return std::unexpected(stat.error());
  info.workspace_device = stat->identity.device;
  info.workspace_inode = stat->identity.inode;
  info.created = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  Result<Created> created = Build(store, std::move(info), request, *workspace);
  // What could not be finished goes at once; if not even that works, the next start tries again.
  if (!created) (void)store.RemoveRemains();
  return created;
}

}  // namespace cordon::shadow
