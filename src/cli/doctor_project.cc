#include "cli/doctor_project.h"

#include <algorithm>
#include <string_view>

#include "base/plain_text.h"
#include "policy/host_files.h"
#include "policy/resolve.h"
#include "policy/surroundings.h"

namespace cordon::cli {
namespace {

// Where projects have what is nobody else's.
constexpr std::string_view kCredentialFiles[] = {
    ".env",   ".env.local", ".git-credentials", ".netrc",
    ".npmrc", ".pypirc",    ".aws/credentials", ".docker/config.json"};

ProjectFinding ExaminePolicy(const policy::Plan& plan) {
  std::string files;
  for (const policy::PolicyFile& file : plan.files) {
    files += (files.empty() ? "" : ", ") + file.path;
  }
  if (files.empty()) files = "none here, and none of your own; cordon init writes one";
  return {"policy", true, PlainText(files)};
}

ProjectFinding ExamineApproval(const policy::Planned& planned) {
  const size_t count = planned.plan->withheld.size();
  if (count == 0) return {"approval", true, "the project asks for nothing beyond your own policy"};
  return {"approval", false,
          std::to_string(count) + " asked for beyond your own policy; cordon trust shows what"};
}

ProjectFinding ExamineVariables(const policy::Plan& plan) {
  const auto secret = std::ranges::count_if(plan.environment, &policy::Variable::is_secret);
  const std::string kept = std::to_string(plan.denied.size()) + " that look secret stay outside";
  if (secret == 0) return {"variables", true, kept};
  return {"variables", false, std::to_string(secret) + " that look secret are passed; " + kept};
}

bool IsHidden(const policy::Plan& plan, const std::string& path) {
  return std::ranges::any_of(plan.mounts, [&](const policy::Mount& mount) {
    return mount.kind == policy::MountKind::kMask && policy::IsWithin(path, mount.target);
  });
}

ProjectFinding ExamineCredentials(const policy::Plan& plan) {
  std::string seen;
  for (const std::string_view file : kCredentialFiles) {
    const std::string name(file);
    if (policy::Inspect(plan.workspace.root + "/" + name) != policy::Found::kFile) continue;
    if (IsHidden(plan, plan.workspace.mount + "/" + name)) continue;
    seen += (seen.empty() ? "" : ", ") + name;
  }
  if (seen.empty()) return {"credentials", true, "none of the usual files is seen"};
  return {"credentials", false,
          "commands see " + seen + "; workspace: {exclude_paths: […]} hides them"};
}

}  // namespace

std::vector<ProjectFinding> ExamineProject() {
  policy::PlanRequest request;
  request.argv = {"true"};
  request.wall = "native";
  const policy::Planned planned = policy::MakePlan(request, policy::Surroundings::OfThisProcess());
  std::vector<ProjectFinding> findings;
  if (!planned.plan) {
    for (const Error& error : planned.errors) {
      findings.push_back({"policy", false, PlainText(error.ToString())});
    }
    return findings;
  }
  findings.push_back(ExaminePolicy(*planned.plan));
  findings.push_back(ExamineApproval(planned));
  findings.push_back(ExamineVariables(*planned.plan));
  findings.push_back(ExamineCredentials(*planned.plan));
  return findings;
}

}  // namespace cordon::cli
