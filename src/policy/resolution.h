#ifndef CORDON_POLICY_RESOLUTION_H_
#define CORDON_POLICY_RESOLUTION_H_

// What the steps of planning share. Each step is a function of its own file and fills in its part
// of the plan; the order is in resolve.cc.

#include <optional>
#include <string>
#include <vector>

#include "policy/dispatch.h"
#include "policy/host_files.h"
#include "policy/layer.h"
#include "policy/managers.h"
#include "policy/resolve.h"
#include "policy/trust.h"
#include "policy/walls.h"

namespace cordon::policy {

struct Resolution {
  Resolution(const PlanRequest& asked, const Surroundings& surroundings)
      : request(asked), around(surroundings) {}

  const PlanRequest& request;
  const Surroundings& around;
  TrustStore trust;

  std::optional<Layer> user;
  std::optional<Layer> project;
  Layer preset;  // of the package manager; of nothing else than `default` without one
  const Layer* main = nullptr;  // whose workspace, image and runtime hold

  const Manager* manager = nullptr;  // of the preset
  std::vector<std::vector<std::string>> readings;

  // The profile that was chosen, and whose it is.
  Word profile_name;
  const Profile* profile = nullptr;
  const Layer* profile_layer = nullptr;
  ManagerTask task = ManagerTask::kNone;  // of a profile of the preset

  const WallFacts* wall = nullptr;
  std::string engine;  // of containers, where somebody named it as the wall
  std::string root;    // of the workspace, without links
  std::optional<Beneath> workspace;
  std::string program;  // without links
  // Of every reading of the command that is on this machine, as found: `env`, `npm`.
  std::vector<std::string> programs;
  std::string manager_program;  // without links; of the manager's own

  Plan plan;
  std::vector<Error> errors;  // that leave no plan
  std::vector<Approval> needed;

  [[nodiscard]] const Document& document() const { return main->document; }
  // The layers whose lists add up: the user's, then the project's.
  [[nodiscard]] std::vector<const Layer*> Layers() const;

  [[nodiscard]] bool IsStrict() const;
  // Where the command's home directory is: the caller's path, where that can be an empty directory
  // of its own.
  [[nodiscard]] std::string Home() const;
  // True if it must be left out; then it is in `withheld`.
  bool IsWithheld(const Layer& layer, Mark mark);
  // The same of what is harmless behind a wall.
  bool IsWithheldOnHost(const Layer& layer, Mark mark);
  void Refuse(std::string message, std::string place = {});
  void Note(std::string text) { plan.notes.push_back(std::move(text)); }
  void Hint(std::string text) { plan.hints.push_back(std::move(text)); }

 private:
  bool Withhold(const Layer& layer, Mark mark, const Ask* ask);
};

// --- the steps ---

void ReadPolicies(Resolution& r);
void ChooseProfile(Resolution& r);
void ChooseWall(Resolution& r);
void ResolveWorkspace(Resolution& r);
void ResolveProgram(Resolution& r);
void ResolveSystem(Resolution& r);  // what the wall's root is made of
void ResolveWritable(Resolution& r);
void ResolveMounts(Resolution& r);
void ResolveSecrets(Resolution& r);
void ResolveMasks(Resolution& r);
void ResolveNetwork(Resolution& r);
void ResolveEnvironment(Resolution& r);
void ResolveLockfiles(Resolution& r);
void ResolveLimits(Resolution& r);
void ResolveRights(Resolution& r);
void ResolveImage(Resolution& r);
void ResolvePreRun(Resolution& r);
void CheckSafety(Resolution& r);
void CheckWallFits(Resolution& r);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_RESOLUTION_H_
